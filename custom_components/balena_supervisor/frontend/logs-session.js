/* What a log card shows: the chosen source, the filters and the lines.
 *
 * Home Assistant creates the card again after each reconnect and after the browser tab was hidden
 * for a while. The next card for the same device and service on the same page continues the session.
 */

export const MAX_LINES = 1000;
// Sessions without a card. The oldest one is forgotten.
const MAX_RELEASED = 8;

const released = [];

export class LogSession {
  deviceId = "";
  service = "";
  // App of the service. If null, the service name matches in all apps.
  appId = null;
  level = "all";
  // In lower case.
  filter = "";
  // As the person typed it.
  filterText = "";
  wraps = true;
  isPaused = false;
  follows = true;
  // The item at the top while the card does not follow.
  anchor;
  // The items to show: `{entry}` of a line or `{note}` of the card. Later ones have higher ids.
  items = [];
  // Items that arrived while paused.
  held = [];
  // When lines stopped to arrive. Undefined while they arrive.
  interruptedAt;
  // When the last card stopped to show lines. Undefined while one does.
  leftAt;
  // The last entries, also those that were cleared.
  #seen = [];
  #expected = new Map();
  #oldest;
  #isRepeating = false;
  #hasOverlap = false;
  #lastId = 0;

  constructor(key) {
    this.key = key;
  }

  /** Show another source: forget the lines, and keep the filters. */
  choose(deviceId, service, appId) {
    this.deviceId = deviceId;
    this.service = service ?? "";
    this.appId = (this.service && appId) || null;
    this.items = [];
    this.held = [];
    this.anchor = undefined;
    this.interruptedAt = undefined;
    this.leftAt = undefined;
    this.follows = true;
    this.#seen = [];
  }

  /** Add new items. Returns those to show now; the others wait until the card resumes. */
  add(items) {
    if (this.isPaused) {
      this.held = [...this.held, ...items].slice(-MAX_LINES);
      return [];
    }
    for (const item of items) {
      this.#lastId += 1;
      item.id = this.#lastId;
    }
    this.items = [...this.items, ...items].slice(-MAX_LINES);
    return items;
  }

  /** Expect that a new subscription repeats the last lines. */
  expectRepetitions() {
    this.#expected = new Map();
    for (const entry of this.#seen) {
      const key = keyOf(entry);
      this.#expected.set(key, (this.#expected.get(key) ?? 0) + 1);
    }
    this.#oldest = this.#seen.find(({ time }) => time)?.time;
    this.#isRepeating = this.#seen.length > 0;
    this.#hasOverlap = false;
  }

  /** Return the entries that were not shown before, and whether lines may be missing before them. */
  takeNew(entries) {
    let hasGap = false;
    const fresh = entries.filter((entry) => {
      const key = keyOf(entry);
      const count = this.#expected.get(key);
      if (count && (this.#isRepeating || entry.time)) {
        this.#expected.set(key, count - 1);
        this.#hasOverlap = true;
        return false;
      }
      if (this.#isRepeating && entry.time && entry.time < this.#oldest) {
        return false;
      }
      // From here on all entries are new, also those of a clock that was set back.
      hasGap ||= this.#isRepeating && !this.#hasOverlap;
      this.#isRepeating = false;
      return true;
    });
    this.#seen = [...this.#seen, ...fresh].slice(-MAX_LINES);
    return { fresh, hasGap };
  }

  /** Return whether the filters let an item pass. */
  matches(item) {
    const { entry } = item;
    if (entry && this.level === "errors" && !isError(entry)) {
      return false;
    }
    if (entry && this.level === "warnings" && !isError(entry) && entry.level !== "warning") {
      return false;
    }
    if (!this.filter) {
      return true;
    }
    item.search ??= (entry ? `${entry.source ?? ""} ${entry.message}` : item.note).toLowerCase();
    return item.search.includes(this.filter);
  }

  /** Return the items that pass the filters. */
  visibleItems() {
    return this.items.filter((item) => this.matches(item));
  }

  /** Return the items that pass the filters, one per line, with full times. */
  asText() {
    return this.visibleItems()
      .map(({ entry, note }) => (entry ? textOf(entry) : note))
      .join("\n");
  }
}

function isError(entry) {
  return entry.level === "error" || entry.is_error;
}

function keyOf({ time, source, message }) {
  return `${time} ${source} ${message}`;
}

function textOf({ time, source, message }) {
  return [time, source, message].filter(Boolean).join(" ");
}

/** Return the last session with a key that has no card, or a new one. */
export function claimSession(key) {
  const index = released.findLastIndex((session) => session.key === key);
  return index < 0 ? new LogSession(key) : released.splice(index, 1)[0];
}

/** Keep a session for the next card with its key. */
export function releaseSession(session) {
  released.push(session);
  released.splice(0, released.length - MAX_RELEASED);
}
