/* The list of lines of a log card.
 *
 * Lines are in blocks, so that the browser lays out only blocks near the visible part. All cards
 * draw in the same frame. Text from a device only goes into text nodes, never into HTML.
 */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const [{ make }, { MAX_LINES }] = await Promise.all(
  ["logs-elements.js", "logs-session.js"].map((name) => import(`./${name}${search}`)),
);

const BLOCK_LINES = 50;
// Closer to the end than this, in pixels, the list follows new lines.
const END = 24;

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
  #isRestoring = false;
  #count = 0;
  #visible = 0;
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
    this.element.addEventListener("pointerover", ({ target }) => {
      if (target.matches("time")) {
        target.title = times.long(target.dateTime);
      }
    });
    const observer = new ResizeObserver(() => this.#keepPosition());
    observer.observe(this.#body);
    observer.observe(this.element);
  }

  get isEmpty() {
    return !this.#count && !this.#pending.length;
  }

  get hasVisible() {
    return this.#visible > 0 || this.#pending.length > 0;
  }

  /** Show the lines and the position of a session. */
  show(session) {
    this.#session = session;
    this.#isRestoring = true;
    this.#body.replaceChildren();
    this.#count = this.#visible = 0;
    this.#pending = [...session.items];
    this.wrap();
    this.draw();
  }

  add(items) {
    this.#pending = [...this.#pending, ...items].slice(-MAX_LINES);
    schedule(this);
  }

  clear() {
    this.#pending = [];
    this.#body.replaceChildren();
    this.#count = this.#visible = 0;
  }

  /** Apply changed filters. */
  filter() {
    for (const block of this.#body.children) {
      this.#match(block);
    }
    this.#onChange();
  }

  wrap() {
    this.element.classList.toggle("wraps", this.#session.wraps);
  }

  goToEnd() {
    this.#session.follows = true;
    this.#session.anchor = undefined;
    this.#keepPosition();
    this.#onChange();
  }

  draw() {
    if (this.#today !== this.#times.today()) {
      this.updateTimes();
    }
    this.#append(this.#pending.splice(0));
    this.#trim();
    this.#onChange();
  }

  /** Format all times again: at midnight, and when the person changes the format. */
  updateTimes() {
    this.#today = this.#times.today();
    for (const time of this.#body.querySelectorAll("time")) {
      time.textContent = this.#times.short(time.dateTime, this.#today);
      time.title = "";
    }
  }

  #append(items) {
    let block = this.#body.lastElementChild;
    const changed = new Set();
    for (const item of items) {
      if (!block || block.lines.length >= BLOCK_LINES) {
        block = make("div", { className: "block", lines: [], visible: 0 });
        this.#body.append(block);
      }
      const line = this.#line(item);
      line.hidden = !this.#session.matches(item);
      block.visible += !line.hidden;
      block.lines.push(line);
      block.append(line);
      changed.add(block);
      this.#count += 1;
      this.#visible += !line.hidden;
    }
    changed.forEach(measure);
  }

  #trim() {
    for (;;) {
      const first = this.#body.firstElementChild;
      if (!first || this.#count - first.lines.length < MAX_LINES) {
        return;
      }
      this.#count -= first.lines.length;
      this.#visible -= first.visible;
      first.remove();
    }
  }

  #match(block) {
    this.#visible -= block.visible;
    block.visible = 0;
    for (const line of block.lines) {
      const isHidden = !this.#session.matches(line.item);
      if (line.hidden !== isHidden) {
        line.hidden = isHidden;
      }
      block.visible += !isHidden;
    }
    this.#visible += block.visible;
    measure(block);
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

  #keepPosition() {
    if (!this.#session || !this.element.clientHeight) {
      return;
    }
    const { anchor, follows } = this.#session;
    this.element.classList.toggle("follows", follows);
    if (follows) {
      this.element.scrollTop = this.element.scrollHeight;
    } else if (this.#isRestoring && anchor) {
      for (const { lines } of this.#body.children) {
        const line = lines.find(({ item }) => item === anchor);
        if (line) {
          const distance =
            line.getBoundingClientRect().top - this.element.getBoundingClientRect().top;
          this.element.scrollTop += distance;
        }
      }
    }
    this.#isRestoring &&= this.isEmpty;
  }

  #handleScroll() {
    if (this.#isRestoring) {
      return;
    }
    const { clientHeight, scrollHeight, scrollTop } = this.element;
    const follows = scrollHeight - scrollTop - clientHeight < END;
    this.#session.follows = follows;
    this.#session.anchor = follows ? undefined : this.#top();
    this.element.classList.toggle("follows", follows);
    this.#onChange();
  }

  /** Return the first visible item. */
  #top() {
    const { left, top } = this.element.getBoundingClientRect();
    const element = this.element.getRootNode().elementFromPoint(left + 20, top + 20);
    return element?.closest(".line")?.item;
  }
}

/** Tell the browser how high a block is, about, while it is not near the visible part. */
function measure(block) {
  block.hidden = !block.visible;
  block.style.setProperty("--lines", block.visible);
}
