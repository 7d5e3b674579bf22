/* A card with many devices: what is wrong with them, search, filters and pages. */

const { search: version } = new URL(import.meta.url);
const load = (name) => import(`./${name}${version}`);
const [data, { describe }, elements, { STYLE, iconOf }, { PATHS }, controls, { offer }] =
  await Promise.all(
    [
      "dashboard-data.js",
      "dashboard-texts.js",
      "dashboard-elements.js",
      "dashboard-style.js",
      "dashboard-icons.js",
      "logs-elements.js",
      "picker.js",
    ].map(load),
  );
const { LiveCard, Notices, iconButton, keyed, set, setAttribute } = elements;
const { loadForms, make, makeChoices, makeSearch } = controls;

// A longer list has pages, which are shorter than this, so that they appear at once on a wall tablet.
const WHOLE = 48;
const PAGE = 24;
// Problems per page, so that the list of devices stays in reach.
const ATTENTION_PAGE = 12;
// Devices in the preview of the card picker. Next to a long preview, the other ones would be out of sight.
const PREVIEW_PAGE = 3;
// With more devices, they can be searched.
const SEARCHED = 10;
const SHOWS = ["all", "attention", "fleets"];

// The choice of a filter that matches all. Home Assistant's forms show no name for an empty value.
const ANY = "any";

// A tile is cloned, and its icon is a path, because `ha-icon` takes ten times as long.
const TILE = make("template", {
  innerHTML: `<li><a>
      <span class="badge" aria-hidden="true"><svg viewBox="0 0 24 24"><path></path></svg></span>
      <span class="words"
        ><span class="name" dir="auto"></span><span class="state"></span><span class="more"></span
      ></span>
    </a></li>`,
});

// What was searched for on each card of this page of the browser: Home Assistant creates cards again.
const sessions = new Map();

class BalenaDevicesCard extends LiveCard {
  #parts;
  #tools;
  #session;
  // The entities that decide what is shown of the devices on the page.
  #shown = [];

  static async getConfigElement() {
    await loadForms();
    return document.createElement("balena-devices-card-editor");
  }

  static getStubConfig() {
    return {};
  }

  static check({ show = "all" }) {
    if (!SHOWS.includes(show)) {
      throw new Error(`show must be one of ${SHOWS.join(", ")}`);
    }
  }

  getCardSize() {
    return 6;
  }

  getGridOptions() {
    return { columns: "full", min_columns: 6 };
  }

  setConfig(config) {
    const key = `${location.pathname} ${JSON.stringify(config)}`;
    if (!sessions.has(key)) {
      sessions.set(key, { query: "", fleet: ANY, status: ANY, tag: ANY, page: 0 });
    }
    this.#session = sessions.get(key);
    super.setConfig(config);
  }

  get #shows() {
    return this.config.show ?? "all";
  }

  #devices() {
    const found = data.chosen(this.hassNow, this.config);
    const { fleet: id } = this.config;
    if (id === undefined) {
      return found;
    }
    const fleet = found.fleets.find((item) => item.id === id);
    // An empty id stands for the devices without a fleet.
    const devices = id && !fleet ? [] : data.members(found, fleet);
    return { fleets: fleet ? [fleet] : [], devices, isGone: Boolean(id) && !fleet };
  }

  /** Return what decides which devices are shown, and what is shown of these. */
  follow() {
    return [data.surveyOf(this.#devices().devices, this.hassNow).entities, this.#shown];
  }

  show() {
    this.#parts ??= this.#build();
    const found = this.#devices();
    const survey = data.surveyOf(found.devices, this.hassNow);
    const inTrouble = survey.inTrouble.length;
    const { head, subtitle, title } = this.#parts;
    set(title, { textContent: this.#title(found, inTrouble) });
    set(subtitle, { textContent: this.#subtitle(found, inTrouble) });
    set(head, { hidden: this.config.title === "" });
    this.#link(head, found);
    if (this.#shows === "fleets") {
      this.#showFleets(found, survey);
    } else if (this.#shows === "attention") {
      this.#showAttention(found, survey);
    } else {
      this.#showAll(found, survey);
    }
  }

  #pageSize(count) {
    if (this.getRootNode().host?.localName === "hui-card-picker") {
      return PREVIEW_PAGE;
    }
    const size = count > WHOLE ? PAGE : WHOLE;
    return this.#shows === "attention" ? ATTENTION_PAGE : size;
  }

  #title({ fleets, isGone }, inTrouble) {
    const { text } = this;
    if (isGone) {
      return text("fleet_gone");
    }
    if (this.config.title) {
      return this.config.title;
    }
    if (this.#shows === "attention") {
      return inTrouble ? text("attention_count", { count: inTrouble }) : text("all_well");
    }
    if (this.#shows === "fleets") {
      return text("fleets");
    }
    return this.config.fleet && fleets.length ? fleets[0].name : text("devices");
  }

  #subtitle({ devices, isGone }, inTrouble) {
    const { text } = this;
    // The title of the problems has their number, and the tiles of fleets have theirs.
    if (isGone || this.#shows !== "all") {
      return "";
    }
    const counts = [text("device_count", { count: devices.length })];
    if (inTrouble) {
      counts.push(text("attention_short", { count: inTrouble }));
    }
    return counts.join(" · ");
  }

  /** Let the title of a fleet lead to its view. */
  #link(head, { fleets }) {
    const path =
      this.config.views &&
      this.config.fleet &&
      fleets.length &&
      this.viewPath(`fleet-${fleets[0].id}`);
    if (path && location.pathname !== path) {
      setAttribute(head, "href", path);
    } else {
      head.removeAttribute("href");
    }
  }

  #showFleets({ devices, fleets }, { inTrouble }) {
    const { pager, tools } = this.#parts;
    set(tools, { hidden: true });
    set(pager, { hidden: true });
    const [counts, bad] = [devices, inTrouble].map(data.countByFleet);
    const items = fleets.map((fleet) =>
      this.#fleetItem(fleet, counts.get(fleet.id) ?? 0, bad.get(fleet.id) ?? 0),
    );
    this.showList(items);
    this.#shown = fleets.map(({ entities }) => entities["sensor.fleet_release"]).filter(Boolean);
  }

  /** Show the devices that need attention, the worst first. */
  #showAttention({ fleets }, { inTrouble }) {
    const rows = inTrouble.map((device) => data.rowOf(device, this.hassNow.states));
    const { offline: isAway } = data.STATUS_FILTERS;
    this.notices.follow(rows.filter(({ condition }) => isAway(condition)).length);
    const rank = ({ condition: { level } }) => data.LEVELS.indexOf(level);
    set(this.#parts.tools, { hidden: true });
    this.#showPage(
      rows.sort((a, b) => rank(a) - rank(b)).map(({ device }) => device),
      fleets,
    );
  }

  /** Show the devices that are searched for. */
  #showAll({ devices, fleets }, { tags }) {
    const { text } = this;
    const { count, tools } = this.#parts;
    const hasTools = devices.length > SEARCHED;
    set(tools, { hidden: !hasTools });
    if (hasTools) {
      this.#showTools(fleets, tags);
    }
    const filters = hasTools ? this.#filters() : {};
    const isSearch = data.isSearch(filters);
    const describeNow = (condition) => describe(condition, this.hassNow, text);
    const found = isSearch
      ? data.search(devices, this.hassNow.states, filters, describeNow)
      : devices;
    set(count, {
      hidden: !isSearch,
      textContent: found.length ? text("found", { count: found.length }) : text("none_found"),
    });
    this.#showPage(found, fleets);
    if (isSearch) {
      // Every device may become one that is searched for.
      this.#shown = data.allWatched(devices);
    }
  }

  /** Show one page of some devices. */
  #showPage(devices, fleets) {
    const { text } = this;
    const { states } = this.hassNow;
    const size = this.#pageSize(devices.length);
    const { begin, items, page, pages } = data.pageOf(devices, this.#session.page, size);
    const { next, pager, previous, range } = this.#parts;
    set(pager, { hidden: pages < 2 });
    previous.update(text("previous_page"), "mdi:chevron-left", page > 0);
    next.update(text("next_page"), "mdi:chevron-right", page < pages - 1);
    set(range, {
      textContent: text("range", {
        from: begin + 1,
        to: begin + items.length,
        count: devices.length,
      }),
    });
    const hasFleet = ({ hasNamesake }) =>
      fleets.length > 1 || (hasNamesake && this.config.fleet === undefined);
    this.showList(
      items.map((device) => this.#deviceItem(data.rowOf(device, states), hasFleet(device))),
    );
    this.#shown = items.flatMap(data.watched);
  }

  #deviceItem({ device, condition }, hasFleet) {
    const { hassNow: hass, text } = this;
    const { installed, isAvailable, latest } = data.updateOf(device, hass.states);
    const isAway = condition.problems[0]?.kind === "offline";
    const since = isAway && !this.#isUnknown(device) && data.lastChange(device, hass.states);
    const more = [
      hasFleet && device.fleetName,
      since && data.relativeTime(since, Date.now(), hass.locale?.language ?? hass.language),
      isAvailable && latest ? text("update_to", { version: latest }) : installed,
    ];
    return {
      key: device.id,
      name: device.name,
      state: describe(condition, hass, text),
      more: more.filter(Boolean).join(" · "),
      icon: iconOf(condition),
      level: condition.level,
      href:
        (this.config.views && this.viewPath(`device-${device.id}`)) ||
        (hass.user?.is_admin && `/config/devices/device/${device.id}`),
      entity: condition.entity ?? Object.values(device.entities)[0],
    };
  }

  /** Return whether only Home Assistant's start is known, and not when a device went offline. */
  #isUnknown(device) {
    const seen = this.hassNow.states[device.entities["sensor.last_seen"]]?.state;
    return !seen || Number.isNaN(Date.parse(seen));
  }

  #fleetLevel(count, inTrouble) {
    if (!inTrouble) {
      return count ? "ok" : "unknown";
    }
    return inTrouble === count ? "error" : "warning";
  }

  #fleetItem(fleet, count, inTrouble) {
    const { text } = this;
    const release = this.hassNow.states[fleet.entities["sensor.fleet_release"]];
    const isKnown = release && !["unavailable", "unknown"].includes(release.state);
    return {
      key: fleet.id,
      name: fleet.name,
      state: inTrouble ? text("attention_short", { count: inTrouble }) : text("all_well"),
      more: [text("device_count", { count }), isKnown && this.hassNow.formatEntityState(release)]
        .filter(Boolean)
        .join(" · "),
      icon: "mdi:ship-wheel",
      level: this.#fleetLevel(count, inTrouble),
      href: this.config.views && this.viewPath(`fleet-${fleet.id}`),
      entity: Object.values(fleet.entities)[0],
    };
  }

  #showTools(fleets, tags) {
    this.#tools ??= this.#buildTools();
    const { choices, filter } = this.#tools;
    const { text } = this;
    const session = this.#session;
    filter.update(text("search"), session.query);
    const any = { value: ANY, label: text("any") };
    const option = (value) => ({ value, label: value });
    const statuses = Object.keys(data.STATUS_FILTERS);
    const lists = {
      fleet: fleets.length > 1 ? fleets.map(({ id, name }) => ({ value: id, label: name })) : [],
      status: statuses.map((value) => ({ value, label: text(`filter_${value}`) })),
      tag: tags.map(option),
    };
    choices.update(
      this.hassNow,
      Object.entries(lists)
        .filter(([, options]) => options.length)
        .map(([name, options]) => ({
          name,
          label: text(name),
          value: session[name],
          options: [any, ...options],
        })),
    );
  }

  /** Return the filters that are set. */
  #filters() {
    return Object.fromEntries(Object.entries(this.#session).filter(([, value]) => value !== ANY));
  }

  #change(values) {
    Object.assign(this.#session, { page: 0 }, values);
    this.refresh();
  }

  #build() {
    const title = make("h2");
    const subtitle = make("small");
    const head = make("a", { className: "head" }, title, subtitle);
    this.notices = new Notices(this);
    const count = make("span", { className: "count", dir: "auto" });
    count.setAttribute("role", "status");
    const tools = make("div", { className: "tools" }, count);
    const list = make("ul", { className: "grid" });
    const turn = (by) => this.#change({ page: Math.max(0, this.#session.page + by) });
    const previous = iconButton(() => turn(-1), PATHS);
    const next = iconButton(() => turn(1), PATHS);
    const range = make("span", { className: "count", dir: "auto" });
    const pager = make("div", { className: "pager" }, previous.element, range, next.element);
    this.attachShadow({ mode: "open" }).append(
      make("style", { textContent: STYLE }),
      this.notices.element,
      head,
      tools,
      list,
      pager,
    );
    this.showList = keyed(list, {
      create: () => this.#tile(),
      update: (tile, item) => tile.show(item),
    });
    return { count, head, next, pager, previous, range, subtitle, title, tools };
  }

  #buildTools() {
    // Home Assistant's own controls would take longer than all of the tiles.
    const filter = makeSearch((value) => this.#change({ query: value }), false);
    const choices = makeChoices((name, value) => this.#change({ [name]: value }), false);
    this.#parts.tools.prepend(filter.element, choices.element);
    return { choices, filter };
  }

  /** Return the element of a device or a fleet. */
  #tile() {
    const element = TILE.content.firstElementChild.cloneNode(true);
    const [link] = element.children;
    const icon = element.querySelector("path");
    const [name, state, more] = element.querySelector(".words").children;
    let shown;
    link.addEventListener("click", (event) => {
      if (!shown.href) {
        event.preventDefault();
        this.showMore(shown.entity);
      }
    });
    const show = (item) => {
      shown = item;
      set(link, { className: `tile ${item.level}` });
      setAttribute(icon, "d", PATHS[item.icon]);
      set(name, { textContent: item.name, title: item.name });
      set(state, { textContent: item.state });
      set(more, { textContent: item.more, hidden: !item.more });
      setAttribute(link, "href", item.href || "#");
    };
    return Object.assign(element, { show });
  }
}

if (!customElements.get("balena-devices-card")) {
  customElements.define("balena-devices-card", BalenaDevicesCard);
  offer("customCards", "devices_card", {
    type: "balena-devices-card",
    name: "balena devices",
    description: "Many balena devices: what is wrong, with search and filters",
    preview: true,
  });
}
