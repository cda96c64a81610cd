"""Second, slow implementations in plain Python, from the formulas: what the package is compared with."""
