"""Whether the bench can run at all: every script can be read, every row names servers that are there; what medians are said of.

In:     the scripts beside this one.
Out:    what is wrong with them, at once and not after an hour of a bench.
Actors: none.
Never:  does it need a peer, a venv or a build: `make lint` runs it.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a test leaves nothing beside its sources

import importlib
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "apps"))

import candidates
import edge_rows
import edge_servers
import figures
import proxy_rows
import proxy_servers
import rows

# It needs Flask, which only the venv of the bench has.
WANTS_MORE = {"flask_app"}


class Bench(unittest.TestCase):
    def test_every_script_can_be_read(self):
        names = {file.stem for folder in (HERE, HERE / "apps") for file in folder.glob("*.py")} - WANTS_MORE
        self.assertGreater(len(names), 25)
        for name in sorted(names):
            with self.subTest(name):
                importlib.import_module(name)

    def test_every_row_names_servers_that_are_there(self):
        kinds = [
            (rows.ROWS, candidates.CANDIDATES),
            ([one.row for one in edge_rows.ROWS], edge_servers.CANDIDATES),
            ([one.row for one in proxy_rows.ROWS], proxy_servers.CANDIDATES),
        ]
        for members, servers in kinds:
            known = {one.key for one in servers}
            for row in members:
                with self.subTest(row.key):
                    self.assertLessEqual(set(row.candidates), known)
                    self.assertIn("hallway", row.candidates)
        for row in [*edge_rows.ROWS, *proxy_rows.ROWS]:
            for bar in row.bars:
                self.assertIn(bar.peer or "hallway", row.row.candidates, row.row.key)

    def test_each_second_round_goes_the_other_way(self):
        self.assertEqual(list(figures.visits(2, ["a", "b"])), [(0, "a"), (0, "b"), (1, "b"), (1, "a")])

    def test_the_interval_of_a_median(self):
        # The ranks of the tables of the sign test, counted from 1: 1 and 6 of 6, 2 and 8 of 9, 6 and 16 of 21.
        for count, low, high in ((6, 1, 6), (9, 2, 8), (21, 6, 16)):
            self.assertEqual(figures.interval([float(one) for one in range(count, 0, -1)]), (low, high))
        self.assertIsNone(figures.interval([1.0] * 5))

    def test_what_a_cell_says(self):
        self.assertEqual(figures.spread([]), "–")
        self.assertEqual(figures.spread([3.0]), "3.0")
        self.assertEqual(figures.spread([1.0, 2.0, 3.0, 4.0, 5.0]), "3.0 (2.0–4.0)")
        self.assertEqual(figures.compared(figures.ratios({0: 1.0, 2: 3.0}, {0: 2.0, 1: 5.0, 2: 3.0})), "0.75 (0.62–0.88)")
        self.assertEqual(figures.compared([0.9, 0.95, 1.0, 1.0, 1.05, 1.1]), "1.00 ±10.0% (0.96–1.04)")


if __name__ == "__main__":
    unittest.main()
