// Rent-o-Matic: filters the rooms without loading the page anew.
// The server renders the same page, so nothing here is needed to use the site.
"use strict";

(() => {
  const PAUSE_WHILE_TYPING_MS = 350;
  const SCENES = 6;
  const PALETTES = 6;
  const STATUS_LABELS = { available: "Available", rented: "Rented", maintenance: "Maintenance" };

  const byId = (id) => document.getElementById(id);
  const form = byId("filter");
  const cards = byId("cards");
  const empty = byId("empty");
  const errors = byId("errors");
  const found = byId("found");
  const head = byId("head");
  const order = byId("order");
  const results = byId("results");
  const jsonLink = byId("json-link");
  const template = byId("card-template");
  const fields = Array.from(form.elements).filter((element) => element.name);

  let request = null;
  let timer = 0;

  // ---- the filter and the address bar -----------------------------------

  function chosen() {
    const parameters = new URLSearchParams();
    for (const field of fields) {
      const value = field.value.trim();
      if (value) parameters.append(field.name, value);
    }
    return parameters;
  }

  function withQuery(path, parameters) {
    const query = parameters.toString();
    return query ? `${path}?${query}` : path;
  }

  function fillFormFromAddress() {
    const parameters = new URLSearchParams(location.search);
    for (const field of fields) field.value = parameters.get(field.name) ?? "";
  }

  // ---- drawing ------------------------------------------------------------

  function degrees(value, positive, negative) {
    return `${Math.abs(value).toFixed(3)}° ${value >= 0 ? positive : negative}`;
  }

  function texts(room) {
    return {
      title: room.title,
      city: room.city,
      price: `€${room.price_eur}`,
      size: `${room.size_m2} m²`,
      place: `${degrees(room.latitude, "N", "S")}, ${degrees(room.longitude, "E", "W")}`,
      status_label: STATUS_LABELS[room.status] ?? room.status,
    };
  }

  function draw(room) {
    const copy = template.content.cloneNode(true);
    const card = copy.querySelector("[data-card]");
    const art = copy.querySelector("[data-palette]");
    const values = texts(room);

    card.className = `card card--${room.status}`;
    art.className = `card__art palette-${Number.parseInt(room.code.slice(2, 4), 16) % PALETTES}`;
    copy
      .querySelector("[data-scene]")
      .setAttribute("href", `#scene-${Number.parseInt(room.code.slice(0, 2), 16) % SCENES}`);
    for (const slot of copy.querySelectorAll("[data-text]")) {
      slot.textContent = values[slot.dataset.text];
    }
    return copy;
  }

  function showRooms(rooms) {
    cards.replaceChildren(...rooms.map(draw));
    found.textContent =
      rooms.length === 0 ? "No rooms" : rooms.length === 1 ? "1 room" : `${rooms.length} rooms`;
    empty.hidden = rooms.length > 0;
    order.hidden = rooms.length === 0;
    head.hidden = false;
    showErrors([]);
  }

  function showErrors(list, title = "This filter cannot be used") {
    const wrong = new Set(list.map((error) => error.parameter));
    for (const field of fields) {
      if (wrong.has(field.name)) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    const lines = list.map((error) => {
      const line = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = labelOf(error.parameter);
      line.append(name, ` ${error.message}`);
      return line;
    });
    errors.querySelector(".notice__title").textContent = title;
    errors.querySelector("ul").replaceChildren(...lines);
    errors.hidden = lines.length === 0;
    // The rooms of the last good answer stay, but look put aside.
    cards.classList.toggle("cards--stale", lines.length > 0);
  }

  function labelOf(name) {
    const field = fields.find((candidate) => candidate.name === name);
    return field ? field.labels[0].firstChild.textContent.trim() : name;
  }

  // ---- asking the server --------------------------------------------------

  async function refresh({ quietly = false } = {}) {
    clearTimeout(timer);
    request?.abort();
    const mine = new AbortController();
    request = mine;

    const address = withQuery(form.dataset.api, chosen());
    jsonLink.href = address;
    if (!quietly) results.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address, {
        headers: { Accept: "application/json" },
        signal: mine.signal,
      });
      const answer = await response.json();
      if (response.ok) showRooms(answer);
      else if (response.status === 400) showErrors(answer.errors);
      else throw new Error(`unexpected status ${response.status}`);
      document.documentElement.dataset.rooms = "live";
    } catch (error) {
      if (mine.signal.aborted) return;
      showErrors(
        [{ parameter: "Connection", message: "failed; the list below may be out of date. Try again." }],
        "The rooms could not be loaded",
      );
    } finally {
      if (request === mine) results.removeAttribute("aria-busy");
    }
  }

  function changeNow() {
    history.replaceState(null, "", withQuery(form.getAttribute("action"), chosen()));
    refresh();
  }

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (event.target instanceof HTMLSelectElement) changeNow();
    else timer = setTimeout(changeNow, PAUSE_WHILE_TYPING_MS);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = withQuery(form.getAttribute("action"), chosen());
    if (address !== location.pathname + location.search) history.pushState(null, "", address);
    refresh();
  });

  window.addEventListener("popstate", () => {
    fillFormFromAddress();
    refresh();
  });

  // What the server refused stays on the page until the filter is changed.
  if (errors.hidden) refresh({ quietly: true });
})();
