/* The list of lines of a log card.
 *
 * Lines that pass the filters are in blocks. The elements of a block are created when it comes
 * near the visible part, so a filter changes some dozens of elements, however many lines there
 * are. All cards draw new lines in the same frame. Text from a device only goes into text nodes,
 * never into HTML.
 */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const [{ make }, { MAX_LINES }] = await Promise.all(
  ["logs-elements.js", "logs-session.js"].map((name) => import(`./${name}${search}`)),
);

const BLOCK_LINES = 15;
// Blocks closer to the visible part than this, in pixels, get their lines.
const MARGIN = 300;
// Closer to the end than this, in pixels, the list follows new lines.
const END = 24;

// Home Assistant lays out a new card in several steps. Until then, milliseconds, the list stays at its
// line.
const RESTORE_TIME = 1000;

// Milliseconds between two frames with new lines. Nobody reads faster, and each frame costs.
const DRAW_INTERVAL = 500;

const waiting = new Set();
let drawnAt = -Infinity;

/** Draw the new lines of a list in the next frame that is due, together with all other lists. */
function schedule(list) {
  if (!waiting.size) {
    const delay = Math.max(0, drawnAt + DRAW_INTERVAL - performance.now());
    setTimeout(() => requestAnimationFrame(drawAll), delay);
  }
  waiting.add(list);
}

function drawAll() {
  drawnAt = performance.now();
  const lists = [...waiting];
  waiting.clear();
  for (const list of lists) {
    list.draw();
  }
}

export class LogLines {
  element = make("div", { className: "lines", tabIndex: 0, dir: "ltr" });
  #body = make("div");
  #times;
  #onChange;
  #session;
  #pending = [];
  // Elements with `items`, and with `lines` once their lines exist.
  #blocks = [];
  // The element of each item that was near the visible part.
  #elements = new WeakMap();
  #restoresUntil = 0;
  #isRefreshing = false;
  // How many lines can be visible.
  #capacity = 30;
  #today;

  /** Initialize an empty list. `onChange` is called when the number of lines or the position changes. */
  constructor(times, onChange) {
    this.#times = times;
    this.#onChange = onChange;
    this.element.append(this.#body);
    // Accessibility: screen readers do not read the lines aloud as they arrive, which can be
    // a hundred per second.
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-live", "off");
    this.element.addEventListener("scroll", () => this.#handleScroll(), { passive: true });
    for (const action of ["keydown", "pointerdown", "touchmove", "wheel"]) {
      this.element.addEventListener(action, () => (this.#restoresUntil = 0), { passive: true });
    }
    this.element.addEventListener("keydown", (event) => this.#handleKey(event));
    this.element.addEventListener("pointerover", ({ target }) => {
      if (target.matches("time")) {
        target.title = times.long(target.dateTime);
      }
    });
    const sizes = new ResizeObserver(() => this.#handleSize());
    sizes.observe(this.#body);
    sizes.observe(this.element);
  }

  get isEmpty() {
    return !this.#session?.items.length;
  }

  get hasVisible() {
    return this.#blocks.length > 0 || this.#pending.length > 0;
  }

  /** Show the lines and the position of a session. */
  show(session) {
    this.#session = session;
    this.#restoresUntil = performance.now() + RESTORE_TIME;
    this.wrap();
    this.#rebuild();
  }

  /** Show items that were added to the session. */
  add(items) {
    this.#pending = [...this.#pending, ...items].slice(-MAX_LINES);
    schedule(this);
  }

  /** Show other items, because the filters or the items of the session changed.
   *
   * What was typed appears in the next frame, and the lines in the one after it.
   */
  refresh() {
    if (!this.#isRefreshing) {
      this.#isRefreshing = true;
      requestAnimationFrame(() => setTimeout(() => this.#rebuild()));
    }
  }

  wrap() {
    this.element.classList.toggle("wraps", this.#session.wraps);
  }

  goToEnd() {
    this.#session.follows = true;
    this.#session.anchor = undefined;
    this.#renderEnd();
    this.#keepPosition();
    this.#onChange();
  }

  draw() {
    if (this.#today !== this.#times.today()) {
      this.updateTimes();
    }
    this.#append(this.#pending.filter((item) => this.#session.matches(item)));
    this.#pending = [];
    this.#trim();
    if (this.#session.follows) {
      this.#renderEnd();
    }
    this.#onChange();
  }

  /** Format all times again: at midnight, and when the person changes the format. */
  updateTimes() {
    this.#today = this.#times.today();
    this.#elements = new WeakMap();
    for (const time of this.#body.querySelectorAll("time")) {
      time.textContent = this.#times.short(time.dateTime, this.#today);
      time.title = "";
    }
  }

  #rebuild() {
    this.#isRefreshing = false;
    this.#pending = [];
    const items = this.#session.visibleItems();
    const shown = this.#blocks.flatMap((block) => block.items);
    if (items.length !== shown.length || items.some((item, index) => item !== shown[index])) {
      this.#blocks = [];
      this.#body.replaceChildren();
      this.#append(items);
      // Stay near the line that was at the top.
      this.#keepPosition(true);
    } else {
      this.#keepPosition();
    }
    this.#onChange();
  }

  // Blocks

  #append(items) {
    this.#today ??= this.#times.today();
    const changed = new Set();
    for (const item of items) {
      let block = this.#blocks.at(-1);
      if (!block || block.items.length >= BLOCK_LINES) {
        block = make("div", { className: "block", items: [] });
        this.#blocks.push(block);
        this.#body.append(block);
      }
      block.items.push(item);
      if (block.lines) {
        this.#appendLine(block, item);
      }
      changed.add(block);
    }
    for (const block of changed) {
      // How high the block is, about, while it has no lines.
      block.style.setProperty("--lines", block.items.length);
    }
  }

  #appendLine(block, item) {
    let line = this.#elements.get(item);
    if (!line) {
      line = this.#line(item);
      this.#elements.set(item, line);
    }
    block.lines.push(line);
    block.append(line);
  }

  /** Remove blocks of which the session has no item any more. */
  #trim() {
    const oldest = this.#session.items[0]?.id ?? Infinity;
    while (this.#blocks[0]?.items.at(-1).id < oldest) {
      this.#blocks.shift().remove();
    }
  }

  /** Create the lines of the blocks near the visible part. */
  #renderNear() {
    const { bottom, height, top } = this.element.getBoundingClientRect();
    if (!height) {
      return;
    }
    const near = this.#blocks.filter((block) => {
      const place = block.lines ? undefined : block.getBoundingClientRect();
      return place && place.bottom > top - MARGIN && place.top < bottom + MARGIN;
    });
    if (near.length) {
      near.forEach((block) => this.#render(block));
      // Once they have been laid out.
      setTimeout(() => this.#rememberPosition(), 100);
    }
  }

  /** Create the lines of a block. */
  #render(block) {
    if (!block.lines) {
      block.lines = [];
      block.items.forEach((item) => this.#appendLine(block, item));
    }
  }

  /** Create as many lines as can be visible, from a block on. Returns the next block. */
  #renderFrom(index, step) {
    let missing = this.#capacity;
    let next = index;
    for (; missing > 0 && this.#blocks[next]; next += step) {
      this.#render(this.#blocks[next]);
      missing -= this.#blocks[next].items.length;
    }
    return next;
  }

  /** Create the lines at the end, and remove those before them, which cost time in each frame. */
  #renderEnd() {
    const last = this.#renderFrom(this.#blocks.length - 1, -1);
    for (const block of this.#blocks.slice(0, last + 1)) {
      if (block.lines) {
        block.lines = undefined;
        block.replaceChildren();
      }
    }
  }

  #line(item) {
    const { entry, note } = item;
    const line = make("div", { className: "line", item });
    if (!entry) {
      line.classList.add("note");
      // A note is in the language of the person.
      line.dir = "auto";
      line.append(note);
      return line;
    }
    const level = entry.level ?? (entry.is_error ? "error" : undefined);
    if (level) {
      line.classList.add(level);
    }
    if (entry.time) {
      const text = this.#times.short(entry.time, this.#today);
      line.append(make("time", { dateTime: entry.time }, text), " ");
    }
    if (entry.source) {
      line.append(make("span", { className: "source" }, entry.source), " ");
    }
    line.append(entry.message);
    return line;
  }

  // Position

  #handleSize() {
    const { clientHeight } = this.element;
    if (clientHeight) {
      const lineHeight = parseFloat(getComputedStyle(this.element).lineHeight);
      this.#capacity = Math.ceil(clientHeight / lineHeight);
      this.#keepPosition();
    }
  }

  get #isRestoring() {
    return performance.now() < this.#restoresUntil;
  }

  /** Scroll to the end while the list follows, else to its line if that may have moved. */
  #keepPosition(hasMoved = this.#isRestoring) {
    if (!this.#session) {
      return;
    }
    const { anchor, follows } = this.#session;
    this.element.classList.toggle("follows", follows);
    if (follows) {
      this.#renderEnd();
      this.element.scrollTop = this.element.scrollHeight;
      return;
    }
    if (hasMoved && anchor) {
      this.#goTo(anchor);
    }
    this.#renderNear();
  }

  /** Scroll to an item, or to the first visible one after it. */
  #goTo({ id }) {
    const index = this.#blocks.findIndex(({ items }) => items.at(-1).id >= id);
    if (index >= 0) {
      this.#renderFrom(index, 1);
      const line = this.#blocks[index].lines.find(({ item }) => item.id >= id);
      this.element.scrollTop +=
        line.getBoundingClientRect().top - this.element.getBoundingClientRect().top;
    }
  }

  /** Go to the first or the last line. Browsers aim at where it seems to be before it is laid out. */
  #handleKey(event) {
    if (event.key === "Home") {
      this.#renderFrom(0, 1);
      this.element.scrollTop = 0;
      event.preventDefault();
    } else if (event.key === "End") {
      this.goToEnd();
      event.preventDefault();
    }
  }

  #handleScroll() {
    if (this.#isRestoring) {
      return;
    }
    const { clientHeight, scrollHeight, scrollTop } = this.element;
    const follows = scrollHeight - scrollTop - clientHeight < END;
    const hasChanged = this.#session.follows !== follows;
    this.#session.follows = follows;
    this.#rememberPosition();
    this.element.classList.toggle("follows", follows);
    if (!follows) {
      this.#renderNear();
    }
    if (hasChanged) {
      this.#onChange();
    }
  }

  /** Remember the first visible line, for the next card. */
  #rememberPosition() {
    if (!this.#isRestoring && this.element.isConnected) {
      this.#session.anchor = this.#session.follows ? undefined : this.#top();
    }
  }

  /** Return the first visible item. */
  #top() {
    const { left, top } = this.element.getBoundingClientRect();
    const element = this.element.getRootNode().elementFromPoint(left + 20, top + 12);
    return element?.closest(".line")?.item ?? element?.closest(".block")?.items[0];
  }
}
