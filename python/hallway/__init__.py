"""In:     -
Out:    the package that applications import; it has only its version yet.
Actors: none.
Never:  does importing it need a running hallway.
"""

__version__ = "0.1.0"
