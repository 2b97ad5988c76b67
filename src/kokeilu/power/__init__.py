"""Power: formulas with the exact noncentral t, and simulation with the lottery that will be used."""
