from __future__ import annotations

import re
import runpy
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rentomatic.adapters.rooms_memory import MemoryRooms
from rentomatic.adapters.rooms_sqlite import SqliteRooms
from rentomatic.domain.room import RoomStatus
from rentomatic.seed import seed_rooms
from rentomatic.web import create_app

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "rentomatic/web/static"


@pytest.fixture
def client():
    return create_app(MemoryRooms(seed_rooms())).test_client()


@pytest.fixture
def client_with():
    return lambda *rooms: create_app(MemoryRooms(rooms)).test_client()


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, html):
        super().__init__()
        self.titles, self.errors, self.fields, self.links = [], [], {}, []
        self.hidden, self.chosen = {}, []
        self._into, self._in_template = None, False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "template":
            self._in_template = True
        if self._in_template:
            return
        if "id" in values:
            self.hidden[values["id"]] = "hidden" in values
        if tag == "h3":
            self.titles.append("")
            self._into = self.titles
        elif tag == "strong":
            self.errors.append("")
            self._into = self.errors
        elif tag == "option" and "selected" in values:
            self.chosen.append("")
            self._into = self.chosen
        elif tag in ("input", "select"):
            self.fields[values["name"]] = values
        if tag in ("link", "script", "a"):
            self.links.append(values.get("href") or values.get("src"))

    def handle_endtag(self, tag):
        self._into = None
        if tag == "template":
            self._in_template = False

    def handle_data(self, data):
        if self._into is not None:
            self._into[-1] += data


# ---- the page ----------------------------------------------------------------


def test_the_page_shows_all_rooms_without_any_script(client):
    response = client.get("/")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    page = Page(response.text)
    assert sorted(page.titles) == sorted(room.title for room in seed_rooms())
    assert list(page.fields) == ["city", "status", "price_min", "price_max", "size_min"]
    assert page.hidden["errors"] and page.hidden["empty"]


def test_the_page_links_its_static_files_and_nothing_from_elsewhere(client):
    response = client.get("/")
    links = Page(response.text).links
    assert "/static/style.css" in links
    assert "/static/app.js" in links
    for link in links:
        assert link.startswith(("/", "#", "data:")) and not link.startswith("//"), link
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    # The policy would block these.
    assert not re.search(r"<style|\sstyle=|\son\w+=", response.text)


def test_the_form_filters_on_the_server_and_keeps_what_was_entered(client):
    page = Page(client.get("/?city=lisbon&status=available&price_min=&price_max=80").text)
    assert page.titles == ["Tiled attic above the tram line"]
    assert page.chosen == ["Lisbon", "Available"]
    assert page.fields["price_max"]["value"] == "80"
    assert "/rooms?city=lisbon&status=available&price_max=80" in page.links


def test_parameters_of_others_do_not_disturb_the_page(client):
    response = client.get("/?utm_source=letter")
    assert response.status_code == 200
    assert len(Page(response.text).titles) == 24


def test_a_bad_filter_is_explained_on_the_page(client):
    response = client.get("/?price_min=90&price_max=10&status=open")
    assert response.status_code == 400
    page = Page(response.text)
    assert not page.hidden["errors"]
    assert page.titles == []
    assert page.fields["status"]["aria-invalid"] == "true"
    assert page.fields["price_min"]["aria-invalid"] == "true"
    assert "aria-invalid" not in page.fields["price_max"]
    assert "lower price_min or raise price_max" in response.text


def test_an_empty_list_is_explained_on_the_page(client):
    response = client.get("/?city=Atlantis")
    page = Page(response.text)
    assert response.status_code == 200
    assert page.titles == []
    assert page.chosen == ["Atlantis"]
    assert not page.hidden["empty"]


def test_text_from_outside_is_escaped(client_with, make_room):
    client = client_with(make_room(title="<script>alert(1)</script>"))
    html = client.get("/", query_string={"city": "<b>", "price_max": '"><i>'}).text
    assert "<script>alert" not in html
    assert "<b>" not in html
    assert '"><i>' not in html


def test_the_page_is_drawn_with_every_picture_it_names(client):
    html = client.get("/").text
    used = set(re.findall(r'href="#(scene-\d)"', html))
    assert used <= set(re.findall(r'<symbol id="(scene-\d)"', html))
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    for palette in set(re.findall(r"palette-\d", html)):
        assert f".{palette} {{" in css


# ---- the list ----------------------------------------------------------------


def test_rooms_are_listed_as_json(client_with, make_room):
    client = client_with(make_room(2, price_eur=90), make_room(1, status=RoomStatus.RENTED))
    response = client.get("/rooms")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert [room["price_eur"] for room in response.json] == [60, 90]
    assert response.json[0] == {
        "code": "00000000-0000-0000-0000-000000000001",
        "title": "Room 1",
        "city": "Porto",
        "size_m2": 20,
        "price_eur": 60,
        "latitude": 41.15,
        "longitude": -8.61,
        "status": "rented",
    }


def test_rooms_are_filtered(client):
    listed = client.get("/rooms?status=available&price_min=50&price_max=80&size_min=18").json
    assert listed
    for room in listed:
        assert room["status"] == "available"
        assert 50 <= room["price_eur"] <= 80
        assert room["size_m2"] >= 18


def test_a_city_is_found_in_any_spelling_of_case(client):
    assert [room["city"] for room in client.get("/rooms?city=M%C3%81LAGA").json] == ["Málaga"] * 3


def test_no_match_is_an_empty_list(client):
    response = client.get("/rooms?city=Atlantis")
    assert (response.status_code, response.json) == (200, [])


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("sort=price", ["sort"]),
        ("status=open", ["status"]),
        ("status=", ["status"]),
        ("price_max=-1", ["price_max"]),
        ("price_max=9999999999999999999999", ["price_max"]),
        ("price_min=1.5&size_min=big", ["price_min", "size_min"]),
        ("city=Porto&city=Lisbon", ["city"]),
        ("price_min=90&price_max=10", ["price_min"]),
        ("city=a%00b", ["city"]),
        ("=1", [""]),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(client, query, parameters):
    response = client.get(f"/rooms?{query}")
    assert response.status_code == 400
    assert response.content_type == "application/json"
    assert list(response.json) == ["errors"]
    assert [error["parameter"] for error in response.json["errors"]] == parameters
    assert all(set(error) == {"parameter", "message"} for error in response.json["errors"])
    assert all(error["message"] for error in response.json["errors"])


def test_rooms_cannot_be_posted(client):
    assert client.post("/rooms").status_code == 405


# ---- one room, health, static files ------------------------------------------


def test_one_room_is_shown(client):
    expected = client.get("/rooms").json[5]
    response = client.get(f"/rooms/{expected['code']}")
    assert (response.status_code, response.json) == (200, expected)


@pytest.mark.parametrize("code", ["00000000-0000-0000-0000-000000000000", "attic", "%00", "'"])
def test_an_unknown_room_is_not_found_in_json(client, code):
    response = client.get(f"/rooms/{code}")
    assert response.status_code == 404
    assert response.content_type == "application/json"
    assert response.json["errors"][0]["parameter"] == "code"


def test_health(client):
    response = client.get("/health")
    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "kind"), [("style.css", "text/css"), ("app.js", "text/javascript")]
)
def test_static_files_are_those_of_the_directory(client, path, kind):
    with client.get(f"/static/{path}") as response:
        assert response.status_code == 200
        assert response.mimetype == kind
        assert response.data == (STATIC / path).read_bytes()


# ---- the entry point -----------------------------------------------------------


def test_without_a_setting_rooms_are_in_memory(monkeypatch):
    monkeypatch.delenv("RENTOMATIC_DB", raising=False)
    names = runpy.run_path(str(ROOT / "wsgi.py"))
    assert isinstance(names["choose_repository"]({"RENTOMATIC_DB": ""}), MemoryRooms)
    assert len(names["app"].test_client().get("/rooms").json) == 24


def test_with_the_setting_rooms_are_in_the_file(monkeypatch, tmp_path):
    path = tmp_path / "rooms.db"
    monkeypatch.setenv("RENTOMATIC_DB", str(path))
    names = runpy.run_path(str(ROOT / "wsgi.py"))
    assert path.exists()
    in_memory = create_app(MemoryRooms(seed_rooms())).test_client().get("/rooms").data

    repository = SqliteRooms(path)
    assert create_app(repository).test_client().get("/rooms").data == in_memory
    repository.close()
    assert isinstance(names["choose_repository"]({"RENTOMATIC_DB": str(path)}), SqliteRooms)
