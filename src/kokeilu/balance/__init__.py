"""Are the arms alike in what was known before the draw?"""
