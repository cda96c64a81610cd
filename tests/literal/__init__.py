"""Second, slow implementations in plain Python, from the formulas, which the package is compared with."""
