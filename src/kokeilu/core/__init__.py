"""The vocabulary: arms, population, lottery, assignment, view, results."""
