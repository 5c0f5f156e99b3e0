"""Finds circles of files: sets of files of which each needs, directly or through others, every other one.

In:     the workspace's Cargo.toml and the sources of its packages, read as text; what is for tests only is left out.
        A file that takes something from a module below it (`mod.rs` from its own children) makes no circle: it has to
        declare them anyway, and is the index of its folder. `--strict` counts that too.
Out:    how many files the longest circle has (0: there is none); with `--list` the files and who takes what from whom.
Actors: none.
Never:  does a re-export hide an import: it counts for the file that defines the name.
"""

import argparse
import re
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

TOKEN = re.compile(
    r"""
    (?P<skipped> \s+ | //[^\n]* | /\* )
  | (?P<text> [bc]?r(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*"
            | b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\])' | '[A-Za-z_]\w* | \d\w* )
  | (?P<token> (?:r\#)?[A-Za-z_]\w* | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK = re.compile(r"/\*|\*/")
OPENING, CLOSING = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
DEFINES = {"fn", "struct", "enum", "union", "trait", "type", "const", "static"}
# What an item can begin with; other things behind a `cfg` (fields, arms) end at a comma.
BEGINS = DEFINES | {"pub", "mod", "use", "impl", "unsafe", "async", "extern", "macro_rules", "let"}
# What is not set in a build of the product.
UNSET = {"test", "loom", "fuzzing", "doctest"}
WORD = re.compile(r"[A-Za-z_]\w*\Z")


def tokens_of(text: str) -> list[str]:
    """The tokens that matter: comments are gone, literals and lifetimes are one `"` each."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        at = match.end()
        if match["token"]:
            found.append(match["token"].removeprefix("r#"))
        elif match["text"]:
            found.append('"')
        elif match["skipped"] == "/*":
            depth = 1
            while depth and (end := BLOCK.search(text, at)):
                depth += 1 if end[0] == "/*" else -1
                at = end.end()
    return found


def closing(tokens: list[str], at: int) -> int:
    """The index behind the bracket that closes the one at `at`."""
    depth = 0
    while at < len(tokens):
        if tokens[at] in OPENING:
            depth += 1
        elif tokens[at] in CLOSING:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return at


def holds(predicate: list[str]) -> bool:
    """Whether a `cfg` predicate can hold in a build of the product; what is not known may."""
    if not predicate:
        return True
    name, inner = predicate[0], predicate[2:-1] if predicate[1:2] == ["("] else []
    parts, depth = [[]], 0
    for token in inner:
        depth += (token in OPENING) - (token in CLOSING)
        if token == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    verdicts = [holds(part) for part in parts if part]
    if name == "not":
        return True
    if name == "any":
        return any(verdicts)
    if name == "all":
        return all(verdicts)
    return name not in UNSET


@dataclass(eq=False)
class Module:
    """One module: what it defines and what it takes from others."""

    file: Path
    parent: "Module | None" = None
    names: dict[str, "Module | Path"] = field(default_factory=dict)
    imports: dict[str, list[str]] = field(default_factory=dict)
    globs: list[list[str]] = field(default_factory=list)
    paths: set[tuple[str, ...]] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    @property
    def root(self) -> "Module":
        return self if self.parent is None else self.parent.root

    def modules(self):
        yield self
        for name in self.names.values():
            if isinstance(name, Module):
                yield from name.modules()


class Reader:
    """Reads the tokens of one file into a module, and those of its children."""

    def __init__(self, module: Module, folder: Path):
        self.module, self.folder = module, folder

    def read_file(self) -> None:
        self.read(tokens_of(self.module.file.read_text(encoding="utf-8")))

    def read(self, tokens: list[str]) -> None:
        at, depth = 0, 0
        while at < len(tokens):
            token = tokens[at]
            if token == "#":
                at = self.attribute(tokens, at)
                continue
            if token == "pub" and tokens[at + 1 : at + 2] == ["("]:
                at = closing(tokens, at + 1)
                continue
            if token == "use" and tokens[at + 1 : at + 2] != ["<"]:
                end = tokens.index(";", at)
                self.take_use(tokens[at + 1 : end], [])
                at = end
            elif token == "mod" and WORD.match(tokens[at + 1]):
                at = self.take_module(tokens, at)
                continue
            elif token in OPENING:
                depth += 1
            elif token in CLOSING:
                depth -= 1
            elif depth == 0 and token == "macro_rules":
                self.module.names[tokens[at + 2]] = self.module.file
            elif depth == 0 and token in DEFINES and WORD.match(tokens[at + 1]) and tokens[at + 1] not in BEGINS:
                self.module.names[tokens[at + 1]] = self.module.file
            elif WORD.match(token) and tokens[at - 1] not in ("::", "."):
                at = self.take_path(tokens, at)
                continue
            at += 1

    def attribute(self, tokens: list[str], at: int) -> int:
        """Behind an attribute, or behind what it keeps out of the product."""
        bracket = at + (2 if tokens[at + 1 : at + 2] == ["!"] else 1)
        if tokens[bracket : bracket + 1] != ["["]:
            return at + 1
        end = closing(tokens, bracket)
        words = tokens[bracket + 1 : end - 1]
        is_out = words == ["test"] or (words[:2] == ["cfg", "("] and not holds(words[2:-1]))
        if not is_out:
            return end
        return len(tokens) if bracket == at + 2 else self.behind_item(tokens, end)

    def behind_item(self, tokens: list[str], at: int) -> int:
        while tokens[at : at + 2] == ["#", "["]:
            at = closing(tokens, at + 1)
        is_item, is_use = tokens[at] in BEGINS, "use" in tokens[at : at + 5]
        while at < len(tokens) and tokens[at] not in CLOSING:
            if tokens[at] == ";" or (tokens[at] == "," and not is_item):
                return at + 1
            if tokens[at] in OPENING:
                is_block = tokens[at] == "{"
                at = closing(tokens, at)
                if is_block and is_item and not is_use and tokens[at : at + 1] != [";"]:
                    return at
            else:
                at += 1
        return at

    def take_use(self, tree: list[str], before: list[str]) -> None:
        """One tree of a `use`: `a::{b, c::*, self} as d`."""
        path, at = list(before), 0
        while at < len(tree):
            token = tree[at]
            if token == "{":
                for part in split(tree[at + 1 : closing(tree, at) - 1]):
                    self.take_use(part, path)
                return
            if token == "*":
                self.module.globs.append(path)
                return
            if token == "as":
                if path[-1] == "self":
                    path.pop()
                return self.take_import(tree[at + 1], path)
            if token != "::":
                path.append(token)
            at += 1
        if len(path) > 1 and path[-1] == "self":
            path.pop()
        self.take_import(path[-1], path)

    def take_import(self, name: str, path: list[str]) -> None:
        self.module.paths.add(tuple(path))
        # `use x;` with x from elsewhere must not find itself.
        if path != [name]:
            self.module.imports[name] = path

    def take_module(self, tokens: list[str], at: int) -> int:
        name = tokens[at + 1]
        child = Module(self.module.file, self.module)
        self.module.names[name] = child
        if tokens[at + 2] == "{":
            end = closing(tokens, at + 2)
            Reader(child, self.folder / name).read(tokens[at + 3 : end - 1])
            return end
        flat, nested = self.folder / f"{name}.rs", self.folder / name / "mod.rs"
        child.file = flat if flat.exists() else nested
        Reader(child, self.folder / name).read_file()
        return at + 3

    def take_path(self, tokens: list[str], at: int) -> int:
        path = [tokens[at]]
        while tokens[at + 1 : at + 2] == ["::"] and WORD.match(tokens[at + 2]):
            path.append(tokens[at + 2])
            at += 2
        self.module.words.add(path[0])
        if len(path) > 1:
            self.module.paths.add(tuple(path))
        return at + 1


def split(tokens: list[str]) -> list[list[str]]:
    """The parts between the commas that are in no bracket."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token in OPENING) - (token in CLOSING)
        if token == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


@dataclass
class Names:
    """Says which file defines what a path means."""

    packages: dict[str, Module]

    def look_up(self, module: Module, name: str, seen: frozenset) -> Module | Path | None:
        """What a name means in a module: its own, imported by name, imported by `*`."""
        if name in module.names:
            return module.names[name]
        if (module, name) in seen:
            return None
        seen |= {(module, name)}
        if name in module.imports:
            return self.resolve(module, module.imports[name], seen)
        for glob in module.globs:
            of = self.resolve(module, glob, seen)
            found = self.look_up(of, name, seen) if isinstance(of, Module) else None
            if found is not None:
                return found
        return None

    def resolve(self, module: Module, path: list[str], seen: frozenset = frozenset()) -> Module | Path | None:
        """The module that a path names, or the file that defines it; nothing for what is not of the workspace."""
        first, *rest = path
        if first in ("crate", "self", "super"):
            at = {"crate": module.root, "self": module, "super": module.parent}[first]
        else:
            at = self.look_up(module, first, seen) or self.packages.get(first)
        for name in rest:
            if not isinstance(at, Module):
                return at
            if name == "super":
                at = at.parent
                continue
            # Who makes it, a macro perhaps, is in that file.
            at = self.look_up(at, name, seen) or at.file
        return at


def read_packages(root: Path) -> dict[str, list[Module]]:
    """The crates of each package: its library, its program. The key is what others import it by."""
    manifest = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
    folders = [folder for pattern in manifest["workspace"]["members"] for folder in sorted(root.glob(pattern))]
    found = {}
    for folder in [root, *folders]:
        text = (folder / "Cargo.toml").read_text(encoding="utf-8")
        name = tomllib.loads(text).get("package", {}).get("name")
        crates = [folder / "src" / file for file in ("lib.rs", "main.rs")]
        if name:
            found[name.replace("-", "_")] = [read_crate(file) for file in crates if file.exists()]
    return found


def read_crate(file: Path) -> Module:
    module = Module(file)
    Reader(module, file.parent).read_file()
    return module


Arrows = dict[Path, dict[Path, set[str]]]


def arrows_of(packages: dict[str, list[Module]]) -> Arrows:
    """For each file, the files that it takes something from, and the names it takes."""
    names = Names({name: crates[0] for name, crates in packages.items()})
    arrows: Arrows = defaultdict(lambda: defaultdict(set))
    for module in (module for crates in packages.values() for crate in crates for module in crate.modules()):
        arrows[module.file]  # also one that takes nothing is a file
        starred = [of for glob in module.globs if isinstance(of := names.resolve(module, glob), Module)]
        words = {(word,) for of in starred for word in module.words if names.look_up(of, word, frozenset())}
        for path in module.paths | words:
            to = names.resolve(module, list(path))
            # An imported module is no arrow yet: what is named in it is.
            if isinstance(to, Path) and to != module.file:
                # Of `Type::new` it is the type that counts.
                arrows[module.file][to].add(next((name for name in path if name[0].isupper()), path[-1]))
    return arrows


def without_index(arrows: Arrows, packages: dict[str, list[Module]]) -> Arrows:
    """The arrows less those from a module's file to files below it."""
    above: dict[Path, set[Path]] = defaultdict(set)
    for module in (module for crates in packages.values() for crate in crates for module in crate.modules()):
        parent = module.parent
        while parent is not None:
            above[module.file].add(parent.file)
            parent = parent.parent
    return {file: {to: names for to, names in taken.items() if file not in above[to]} for file, taken in arrows.items()}


def circles_of(arrows: Arrows) -> list[list[Path]]:
    """The strongly connected sets of two files or more (Tarjan's algorithm, without recursion), the longest first."""
    numbers, lows, stack, circles = {}, {}, [], []
    for start in arrows:
        if start in numbers:
            continue
        work = [(start, None)]
        while work:
            file, rest = work.pop()
            if rest is None:
                numbers[file] = lows[file] = len(numbers)
                stack.append(file)
                rest = iter(arrows[file])
            for to in rest:
                if to not in numbers:
                    work += [(file, rest), (to, None)]
                    break
                if to in stack:
                    lows[file] = min(lows[file], lows.get(to, numbers[to]))
            else:
                if lows[file] == numbers[file]:
                    at = stack.index(file)
                    circle, stack = stack[at:], stack[:at]
                    circles += [sorted(circle)] if len(circle) > 1 else []
                if work:
                    above = work[-1][0]
                    lows[above] = min(lows[above], lows[file])
    return sorted(circles, key=len, reverse=True)


def show(circles: list[list[Path]], arrows: Arrows, root: Path) -> list[str]:
    lines = []
    for circle in circles:
        lines.append(f"{len(circle)} files:")
        for file in circle:
            lines.append(f"  {file.relative_to(root)}")
            for to in sorted(set(arrows[file]) & set(circle)):
                lines.append(f"      takes {', '.join(sorted(arrows[file][to]))} from {to.relative_to(root)}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Prints how many files the longest circle of files has.")
    parser.add_argument("--list", action="store_true", help="which files, and who takes what from whom")
    parser.add_argument("--strict", action="store_true", help="also what a module's file takes from files below it")
    parser.add_argument("--most", type=int, metavar="N", help="exit code 1 when the longest has more files than that")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the workspace")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    packages = read_packages(root)
    arrows = arrows_of(packages)
    arrows = arrows if arguments.strict else without_index(arrows, packages)
    circles = circles_of(arrows)
    longest = len(circles[0]) if circles else 0
    lines = show(circles, arrows, root) if arguments.list else []
    print("\n".join([*lines, f"longest circle of files: {longest}"]))
    if arguments.most is None or longest <= arguments.most:
        return 0
    print("a file in a circle can't be understood, tested or moved without all the others: --list says where it can be cut",
          file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
