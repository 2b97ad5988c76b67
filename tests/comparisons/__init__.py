"""One module for each file of reference values: `run(case)` compares, `SKIPPED` names what is left out and why."""
