"""What the search for circles of files finds, and what it must not find.

In:     small workspaces, written into a directory of their own.
Out:    the circles, checked.
Actors: circles.py.
Never:  is a way to write an import left untested that the project uses.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a test leaves nothing beside its sources

import tempfile
import unittest
from pathlib import Path

import circles


def found(files: dict[str, str], strict: bool = False) -> list[list[str]]:
    """The circles of a workspace with one package, `hallway`, besides those that `files` adds below crates/."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        files = {"Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n[package]\nname = "hallway"\n', **files}
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        packages = circles.read_packages(root)
        arrows = circles.arrows_of(packages)
        if not strict:
            arrows = circles.without_index(arrows, packages)
        return [[str(file.relative_to(root / "src")) for file in circle] for circle in circles.circles_of(arrows)]


def pair(one: str, other: str, **more: str) -> list[list[str]]:
    """The circles of two files, a and b."""
    return found({"src/lib.rs": "mod a; mod b; " + more.get("lib", ""), "src/a.rs": one, "src/b.rs": other})


ROUND = [["a.rs", "b.rs"]]
TAKES_A = "use crate::a::A; pub struct B;"


class Circles(unittest.TestCase):
    def test_no_circle(self):
        self.assertEqual(pair("pub struct A;", TAKES_A), [])

    def test_every_way_to_import(self):
        ways = [
            "use crate::b::B;",
            "use crate::{b::{B, C}, c};",
            "pub(crate) use super::b::{self, B as Other};",
            "use crate::b; fn f() -> b::B {}",
            "use crate::b::*; fn f() -> B {}",
            "fn f() { let b = crate::b::B::new(); }",
            "fn f(b: &super::b::B) {}",
            "fn f() { use crate::b::B; }",
            "macro_rules! m { () => { $crate::b::B } }",
            "impl Into<crate::b::B> for A {}",
            "fn f<'a>(c: char) { if c == '\"' { crate::b::B; } }",
            '#[cfg(not(test))] use crate::b::B;',
            "mod inner { use super::super::b::B; }",
        ]
        for way in ways:
            with self.subTest(way):
                self.assertEqual(pair(f"{way} pub struct A;", TAKES_A), ROUND)

    def test_what_is_no_import(self):
        ways = [
            "// use crate::b::B;",
            "/* use crate::b::B; /* nested */ use crate::b::B; */",
            '/// [`crate::b::B`]',
            'const TEXT: &str = "crate::b::B";',
            'const TEXT: &str = r#"" use crate::b::B;"#;',
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(test)] use crate::{b::B, c};",
            "#[cfg(all(test, unix))] impl A { fn f() { crate::b::B; } }",
            "#[cfg(any(test, loom))] fn f() -> crate::b::B {}",
            "#[test] fn f() { crate::b::B; }",
            "use crate::b;",
            "struct C { #[cfg(test)] b: crate::b::B, d: u8 }",
            "pub(in crate::b) fn f() {}",
            "fn b() {} fn f() { b(); }",
        ]
        for way in ways:
            with self.subTest(way):
                self.assertEqual(pair(f"{way}\npub struct A;", TAKES_A), [])

    def test_what_follows_a_test_counts(self):
        self.assertEqual(pair("#[cfg(test)] use x::{y}; use crate::b::B; pub struct A;", TAKES_A), ROUND)
        self.assertEqual(pair("#[cfg(test)] fn f() -> u8 { 1 } use crate::b::B; pub struct A;", TAKES_A), ROUND)

    def test_a_re_export_counts_for_the_file_that_defines(self):
        files = {
            "src/lib.rs": "mod lane; mod house;",
            "src/house.rs": "use crate::lane::Lane; pub struct House;",
            "src/lane/mod.rs": "mod inbound; mod desk; pub(crate) use inbound::Lane;",
            "src/lane/inbound.rs": "use crate::house::House; pub struct Lane;",
            "src/lane/desk.rs": "use super::Lane;",
        }
        self.assertEqual(found(files), [["house.rs", "lane/inbound.rs"]])

    def test_a_re_export_of_a_crate(self):
        files = {
            "src/main.rs": "mod a;",
            "src/a.rs": "use hallway_edge::Edge;",
            "crates/edge/Cargo.toml": '[package]\nname = "hallway-edge"\n',
            "crates/edge/src/lib.rs": "mod edge; pub use edge::Edge;",
            "crates/edge/src/edge.rs": "pub struct Edge;",
        }
        self.assertEqual(found(files), [])

    def test_a_name_that_a_macro_makes_is_of_the_file_that_calls_it(self):
        self.assertEqual(pair("use crate::b::MADE; pub struct A;", "use crate::a::A; make! { MADE }"), ROUND)

    def test_a_folder_s_own_file_may_take_from_its_files(self):
        files = {
            "src/lib.rs": "mod lane; mod house;",
            "src/house.rs": "use crate::lane::LIMIT;",
            "src/lane/mod.rs": "mod inbound; use inbound::Lane; pub const LIMIT: u8 = 1;",
            "src/lane/inbound.rs": "use super::LIMIT; pub struct Lane;",
        }
        self.assertEqual(found(files), [])
        self.assertEqual(found(files, strict=True), [["lane/inbound.rs", "lane/mod.rs"]])
        files["src/lane/inbound.rs"] += "use crate::house::House;"
        files["src/house.rs"] += "pub struct House; use crate::lane::Lane;"
        files["src/lane/mod.rs"] += "pub use inbound::Lane;"
        self.assertEqual(found(files), [["house.rs", "lane/inbound.rs"]])

    def test_three_in_a_ring_and_two_circles(self):
        files = {
            "src/lib.rs": "mod a; mod b; mod c; mod d; mod e;",
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "use crate::c::C; pub struct B;",
            "src/c.rs": "use crate::a::A; use crate::d::D; pub struct C;",
            "src/d.rs": "use crate::e::E; pub struct D;",
            "src/e.rs": "use crate::d::D; pub struct E;",
        }
        self.assertEqual(found(files), [["a.rs", "b.rs", "c.rs"], ["d.rs", "e.rs"]])


if __name__ == "__main__":
    unittest.main()
