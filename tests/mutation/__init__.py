"""How many small faults in the code the tests find; README.rst beside this file says how it is measured."""
