/* What the cards of the dashboard share: how they follow Home Assistant, and small elements. */

const { search } = new URL(import.meta.url);
const [{ make }, data, { errorTextsOf, repairTextsOf, textsOf }, { toSentence }] =
  await Promise.all(
    ["logs-elements.js", "dashboard-data.js", "dashboard-texts.js", "logs-texts.js"].map(
      (name) => import(`./${name}${search}`),
    ),
  );
const { DOMAIN, isAbout, loadNotices, versionOf } = data;

// Milliseconds in which changes of states are shown at once. With thousands of entities, a card
// looks less often, so that it needs a hundredth of the time at most.
const COLLECT = 150;
const MAX_COLLECT = 1000;
const SHARE = 100;
// Relative times change every minute.
const TICK = 60_000;
const ISSUES_CHANGED = "repairs_issue_registry_updated";

/**
 * A card that follows the states of some entities.
 *
 * Home Assistant sets `hass` with every change of any state. The card looks at its own entities at
 * most every 150 ms, and calls `show` only if one of them, the registries or the language changed.
 *
 * Subclasses have `show`, and `follow`, which then returns lists of the ids of these entities.
 */
export class LiveCard extends HTMLElement {
  config;
  hassNow;
  text;
  // Set by a card that shows what keeps the integration from working.
  notices;
  #followed = [];
  #versions = [];
  #shown;
  #views;
  #language;
  #delay = COLLECT;
  #looked = -MAX_COLLECT;
  #timer;
  #ticker;

  setConfig(config) {
    this.constructor.check?.(config);
    this.config = config;
    this.#showSoon();
  }

  set hass(hass) {
    this.hassNow = hass;
    if (this.#language === hass.language) {
      this.#plan();
    } else {
      this.#language = hass.language;
      this.#loadTexts();
    }
  }

  async #loadTexts() {
    try {
      this.text = await textsOf(this.hassNow);
      this.#shown = undefined;
      this.update();
    } catch {
      // Home Assistant did not answer. Try again with its next change.
      this.#language = undefined;
    }
  }

  connectedCallback() {
    this.#ticker = setInterval(() => this.refresh(), TICK);
    this.#showSoon();
  }

  disconnectedCallback() {
    this.notices?.leave();
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Show everything again before the browser paints. */
  #showSoon() {
    this.#shown = undefined;
    queueMicrotask(() => this.update());
  }

  /** Look now, or when the delay since the last look has passed. A busy page would run a timer late. */
  #plan() {
    const wait = this.#looked + this.#delay - performance.now();
    if (wait <= 0) {
      queueMicrotask(() => this.update());
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.update();
    }, wait);
  }

  /** Show what changed since the last time. */
  update() {
    const hass = this.hassNow;
    const before = this.#shown;
    if (!this.text || !this.config || !this.isConnected) {
      return;
    }
    this.#looked = performance.now();
    const isOther =
      !before ||
      before.entities !== hass.entities ||
      before.devices !== hass.devices ||
      before.localize !== hass.localize ||
      before.user !== hass.user;
    if (isOther || this.#hasChanges()) {
      this.refresh();
    } else {
      this.#shown = hass;
    }
  }

  #hasChanges() {
    const begin = performance.now();
    const versions = this.#versionsNow();
    const taken = performance.now() - begin;
    this.#delay = Math.min(MAX_COLLECT, Math.max(COLLECT, taken * SHARE));
    return versions.some((version, index) => version !== this.#versions[index]);
  }

  #versionsNow() {
    return this.#followed.map((ids) => versionOf(ids, this.hassNow.states));
  }

  /** Show everything again. Elements that stay the same are kept. */
  refresh() {
    if (this.text && this.config && this.isConnected) {
      this.#shown = this.hassNow;
      this.#views = viewsAround(this);
      this.show();
      this.#followed = this.follow();
      this.#versions = this.#versionsNow();
    }
  }

  /** Return the path of a view of the dashboard on which the card is, undefined if it has no such view. */
  viewPath(name) {
    if (this.#views && !this.#views.has(name)) {
      return undefined;
    }
    return `/${location.pathname.split("/")[1]}/${name}`;
  }

  /** Let Home Assistant perform an action of a card, with its confirmation. */
  act(action) {
    this.fire("hass-action", { config: { tap_action: action }, action: "tap" });
  }

  showMore(entityId) {
    this.fire("hass-more-info", { entityId });
  }

  fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));
  }
}

// The paths of the views of each dashboard.
const pathsOf = new WeakMap();

/** Return the paths of the views of the dashboard around an element, undefined if nobody knows them. */
function viewsAround(element) {
  for (let node = element; node; node = node.parentNode ?? node.host) {
    const views = node.lovelace?.config?.views;
    if (views) {
      if (!pathsOf.has(views)) {
        pathsOf.set(views, new Set(views.map(({ path }) => path)));
      }
      return pathsOf.get(views);
    }
  }
  return undefined;
}

/** Return an action that calls an action of an entity, after a confirmation if there is a text. */
export function perform(action, entity, text) {
  return {
    action: "perform-action",
    perform_action: action,
    target: { entity_id: entity },
    ...(text && { confirmation: { text } }),
  };
}

/** Change a property of an element only if it is another one. */
export function set(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (element[name] !== value) {
      element[name] = value;
    }
  }
}

/** Change an attribute of an element only if it is another one. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/**
 * Show a list of items by their keys. `create` returns the element of a new item, and `update` fills
 * it. Elements of items that stay are kept, with the keyboard focus.
 */
export function keyed(parent, { create, update }) {
  let elements = new Map();
  return (items) => {
    const { activeElement } = parent.getRootNode();
    const before = elements;
    elements = new Map();
    for (const item of items) {
      const element = before.get(item.key) ?? create(item);
      update(element, item);
      elements.set(item.key, element);
    }
    for (const [key, element] of before) {
      if (!elements.has(key)) {
        element.remove();
      }
    }
    let next = parent.firstElementChild;
    for (const element of elements.values()) {
      if (element === next) {
        next = next.nextElementSibling;
      } else {
        parent.insertBefore(element, next);
      }
    }
    if (activeElement?.isConnected && parent.contains(activeElement)) {
      activeElement.focus({ preventScroll: true });
    }
  };
}

/** Return a round icon in the colour of a level. Use `set` on its `icon`. */
export function badge() {
  const icon = make("ha-icon");
  const element = make("span", { className: "badge", ariaHidden: "true" }, icon);
  return { element, icon };
}

/**
 * Return an icon button with a name that is also its tooltip. `paths` has the SVG paths of icons by their names. Without
 * it, Home Assistant loads each icon, which takes longer.
 */
export function iconButton(onClick, paths) {
  const icon = make(paths ? "ha-svg-icon" : "ha-icon");
  const button = make("button", { type: "button", className: "round" }, icon);
  button.addEventListener("click", onClick);
  const update = (label, name, isEnabled = true) => {
    set(button, { ariaLabel: label, title: label, disabled: !isEnabled });
    set(icon, paths ? { path: paths[name] } : { icon: name });
  };
  return { element: button, update };
}

/** Shows the notices above the content of a card: all of them, or those about the device of the card. */
export class Notices {
  element = make("div", { className: "notices" });
  #card;
  #connection;
  #device;
  #away;
  #isAsked = false;
  #notices = { refused: [], repairs: [], failures: [] };
  #repairText;
  #errorText;
  #unsubscribe;
  #show = keyed(this.element, {
    create: () => {
      const text = make("span");
      const link = make("a");
      const icon = make("ha-icon", { icon: "mdi:alert-circle-outline", ariaHidden: "true" });
      const element = make("div", { className: "notice", role: "alert" }, icon, text, link);
      return Object.assign(element, { text, link });
    },
    update: (element, { text, label, href }) => {
      set(element.text, { textContent: text });
      set(element.link, { textContent: label, hidden: !href });
      setAttribute(element.link, "href", href || "#");
    },
  });

  constructor(card) {
    this.#card = card;
  }

  /**
   * Follow the repairs from now on, and show the notices. `away` changes when devices leave or come back: then an
   * entry may have begun or ceased to fail.
   */
  follow(away, device) {
    const { connection } = this.#card.hassNow;
    this.#device = device;
    if (this.#away !== away) {
      this.#away = away;
      this.#ask();
    }
    if (this.#connection !== connection) {
      this.leave();
      this.#connection = connection;
      this.#unsubscribe = connection.subscribeEvents(() => this.#ask(), ISSUES_CHANGED);
      this.#unsubscribe.catch(() => undefined);
      this.#ask();
    }
    this.#render();
  }

  leave() {
    this.#unsubscribe?.then((unsubscribe) => unsubscribe()).catch(() => undefined);
    this.#unsubscribe = this.#connection = undefined;
  }

  /** Load the notices once for all changes of this moment. */
  #ask() {
    if (!this.#isAsked) {
      this.#isAsked = true;
      setTimeout(() => this.#load(), COLLECT);
    }
  }

  async #load() {
    this.#isAsked = false;
    try {
      const { hassNow: hass } = this.#card;
      const notices = await loadNotices(hass);
      // With new texts, Home Assistant renders the whole page again, so they are only loaded if they are shown.
      [this.#repairText, this.#errorText] = await Promise.all([
        notices.repairs.length && repairTextsOf(hass),
        notices.failures.length && errorTextsOf(hass),
      ]);
      this.#notices = notices;
      this.#render();
    } catch {
      // Home Assistant cannot be reached. It says so.
    }
  }

  #render() {
    const { hassNow: hass, text } = this.#card;
    const isAdmin = hass.user?.is_admin;
    const isShown = (issue) => !this.#device || isAbout(issue, hass, this.#device);
    const refused = this.#notices.refused.filter(isShown);
    const repairs = this.#notices.repairs.filter(isShown);
    const failures = this.#notices.failures.filter(isShown);
    const page = isAdmin && `/config/integrations/integration/${DOMAIN}`;
    const items = refused.map(({ issue_id: key, translation_placeholders: values }) => ({
      key,
      text: text(isAdmin ? "key_refused" : "key_refused_ask", { name: values?.name ?? "balena" }),
      label: text("fix"),
      href: page,
    }));
    for (const failure of failures) {
      const { entry_id: key, message, translation_key: name, translation_placeholders } = failure;
      const reason = this.#errorText(`${name}.message`, translation_placeholders) || message;
      items.push({ key, text: toSentence(reason), label: text("show"), href: page });
    }
    if (repairs.length && isAdmin) {
      const [{ translation_key: key, translation_placeholders: values }] = repairs;
      items.push({
        key: "repairs",
        text:
          repairs.length > 1
            ? text("repairs", { count: repairs.length })
            : this.#repairText(`${key}.title`, values),
        label: text("show"),
        href: "/config/repairs",
      });
    }
    this.#show(items);
  }
}
