/* The log card: shows live log lines of a device, or of one of its services.
 *
 * The card depends only on `ha-card` and the theme variables of the frontend, so the load order of
 * other elements does not matter. Text from a device only goes into text nodes, never into HTML.
 */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.logs_card`;
const MAX_LINES = 1000;
const DEFAULT_LINES = 100;
const RETRY_SECONDS = [2, 5, 10, 30];

// English fallback until the translations are loaded. Same as config_panel.logs_card in en.json.
const TEXTS = {
  title: "balena logs",
  device: "Device",
  service: "Service",
  app: "App ID",
  all: "All",
  filter: "Filter",
  pause: "Pause",
  follow: "Resume",
  copy: "Copy",
  copied: "Copied",
  not_copied: "Copying failed",
  clear: "Clear",
  lines: "Log lines",
  newest: "Go to the newest line",
  admin_only: "Only administrators can see logs.",
  no_devices: "No device with logs is set up.",
  loading: "Waiting for log lines…",
  no_match: "No line matches the filter.",
  dropped: "{count} lines were skipped.",
  waiting: "{count} new lines while paused",
  retrying: "Retrying soon.",
  backlog: "Lines to load",
};

const STYLE = `
  :host { display: block; height: 100%; }
  ha-card {
    box-sizing: border-box; height: 100%; min-height: 260px; display: flex;
    flex-direction: column; gap: 8px; padding: 12px; overflow: hidden;
    color: var(--primary-text-color);
  }
  h2 {
    margin: 0; font-size: var(--ha-font-size-l, 16px); font-weight: 500;
    overflow-wrap: anywhere;
  }
  .bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; }
  label {
    display: flex; flex-direction: column; gap: 2px; flex: 1 1 120px; min-width: 0;
    font-size: 12px; color: var(--secondary-text-color);
  }
  select, input, button {
    box-sizing: border-box; min-height: 36px; min-width: 0; padding: 4px 8px; font: inherit;
    font-size: 14px; color: var(--primary-text-color);
    background: var(--secondary-background-color);
    border: 1px solid var(--divider-color); border-radius: 6px;
  }
  option { color: var(--primary-text-color); background: var(--card-background-color); }
  select, input { width: 100%; text-overflow: ellipsis; }
  .buttons { display: flex; flex-wrap: wrap; gap: 8px; }
  button { cursor: pointer; white-space: nowrap; padding: 4px 12px; }
  button:hover { border-color: var(--primary-color); }
  button.active {
    background: var(--primary-color); border-color: var(--primary-color);
    color: var(--text-primary-color);
  }
  :is(select, input, button, .lines):focus-visible {
    outline: 2px solid var(--primary-color); outline-offset: 1px;
  }
  .frame { position: relative; flex: 1 1 300px; min-height: 120px; display: flex; }
  .lines {
    flex: 1; min-width: 0; margin: 0; padding: 8px; overflow-y: auto; overflow-x: hidden;
    overscroll-behavior: contain; border-radius: 6px; line-height: 1.45;
    font-family: var(--ha-font-family-code, ui-monospace, monospace); font-size: 12px;
    background: var(--primary-background-color); border: 1px solid var(--divider-color);
  }
  .line {
    white-space: pre-wrap; overflow-wrap: anywhere; padding: 0 0 0 6px;
    border-left: 3px solid transparent;
  }
  .line[hidden] { display: none; }
  .line.error {
    border-left-color: var(--error-color);
    color: color-mix(in srgb, var(--error-color) 75%, var(--primary-text-color));
  }
  .line.note { font-style: italic; color: var(--secondary-text-color); }
  .time { color: var(--secondary-text-color); }
  .source { font-weight: 600; color: var(--primary-text-color); }
  .newest {
    position: absolute; right: 16px; bottom: 10px; min-height: 32px; font-size: 12px;
    background: var(--card-background-color); box-shadow: 0 1px 4px rgba(0, 0, 0, 0.3);
  }
  .status {
    min-height: 1.4em; font-size: 12px; color: var(--secondary-text-color);
    overflow-wrap: anywhere;
  }
  .status:empty { min-height: 0; margin-top: -8px; }
  .status.problem { color: var(--error-color); }
  [hidden] { display: none !important; }
`;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

class BalenaLogsCard extends HTMLElement {
  #config = {};
  #hass;
  #devices = [];
  #deviceId = "";
  #service = "";
  // App of the service. If null, the service name matches in all apps.
  #appId = null;
  #filter = "";
  #isPaused = false;
  #follows = true;
  // Lines that arrived while paused, at most MAX_LINES.
  #held = [];
  #unsubscribe;
  // Increases with each restart, so that answers to earlier requests are ignored.
  #generation = 0;
  #retry;
  #attempts = 0;
  #isConnected = false;
  #isStarted = false;
  #parts;
  #localize;
  #formats;
  #formatsOf;
  #forgetConnection;

  static getConfigForm() {
    return {
      schema: [
        {
          name: "device_id",
          // The manufacturer excludes services, which are separate devices without one.
          selector: {
            device: { filter: [{ integration: DOMAIN, manufacturer: "balena" }] },
          },
        },
        { name: "service", selector: { text: {} } },
        { name: "app_id", selector: { number: { min: 1, mode: "box" } } },
        { name: "title", selector: { text: {} } },
        {
          name: "lines",
          selector: { number: { min: 1, max: MAX_LINES, mode: "box" } },
        },
      ],
      computeLabel: ({ name }, localize) => {
        const keys = { device_id: "device", service: "service", app_id: "app", lines: "backlog" };
        const key = keys[name];
        return key && (localize?.(`${PREFIX}.${key}`) || TEXTS[key]);
      },
    };
  }

  static getStubConfig() {
    return {};
  }

  setConfig(config) {
    const lines = config.lines ?? DEFAULT_LINES;
    if (!Number.isInteger(lines) || lines < 1 || lines > MAX_LINES) {
      throw new Error(`lines must be a number from 1 to ${MAX_LINES}`);
    }
    for (const name of ["device_id", "service", "title"]) {
      if (config[name] != null && typeof config[name] !== "string") {
        throw new Error(`${name} must be a text`);
      }
    }
    if (config.app_id != null && !(Number.isInteger(config.app_id) && config.app_id > 0)) {
      throw new Error("app_id must be a positive number");
    }
    this.#config = { ...config, lines };
    this.#deviceId = config.device_id ?? "";
    this.#chooseService(config.service, config.app_id);
    this.#build();
    this.#restart();
  }

  set hass(hass) {
    const before = this.#hass;
    this.#hass = hass;
    if (before?.language !== hass.language) {
      this.#loadTexts();
    }
    if (before?.connection !== hass.connection) {
      this.#restart();
    }
  }

  getCardSize() {
    return 9;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6, rows: 9, min_rows: 5 };
  }

  connectedCallback() {
    this.#isConnected = true;
    this.#restart();
  }

  disconnectedCallback() {
    this.#isConnected = false;
    this.#stop();
  }

  // Texts

  #text(key, values = {}) {
    const text = this.#localize?.(`${PREFIX}.${key}`, values);
    return text || TEXTS[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  async #loadTexts() {
    try {
      const load = this.#hass.loadBackendTranslation;
      await load("exceptions", DOMAIN);
      this.#localize = await load("config_panel", DOMAIN);
    } catch {
      // Keep the English fallback.
    }
    this.#label();
  }

  #formatTime(iso) {
    const locale = this.#hass?.locale;
    const zone =
      locale?.time_zone === "server" ? this.#hass.config.time_zone : undefined;
    const hour12 = { 12: true, 24: false }[locale?.time_format];
    const time = new Date(iso);
    const key = JSON.stringify([locale?.language, zone, hour12]);
    if (this.#formatsOf !== key) {
      this.#formatsOf = key;
      const options = {
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        timeZone: zone,
        ...(hour12 ? { hour12 } : { hourCycle: hour12 === false ? "h23" : undefined }),
      };
      this.#formats = [
        new Intl.DateTimeFormat(locale?.language, options),
        new Intl.DateTimeFormat(locale?.language, {
          ...options,
          year: "numeric",
          month: "short",
          day: "numeric",
          fractionalSecondDigits: 3,
        }),
        new Intl.DateTimeFormat(locale?.language, {
          month: "short",
          day: "numeric",
          timeZone: zone,
        }),
      ];
    }
    const [short, long, day] = this.#formats;
    const isToday = day.format(time) === day.format(new Date());
    return {
      short: isToday ? short.format(time) : `${day.format(time)}, ${short.format(time)}`,
      long: long.format(time),
    };
  }

  // Elements

  #build() {
    if (this.#parts) {
      this.#label();
      return;
    }
    const root = this.attachShadow({ mode: "open" });
    const device = make("select", { id: "device" });
    const service = make("select", { id: "service" });
    const filter = make("input", { id: "filter", type: "search", autocomplete: "off" });
    const pause = make("button", { type: "button", id: "pause" });
    const copy = make("button", { type: "button", id: "copy" });
    const clear = make("button", { type: "button", id: "clear" });
    const newest = make("button", { type: "button", className: "newest", hidden: true });
    // Accessibility: screen readers announce new lines, and the keyboard can scroll.
    const lines = make("div", { className: "lines", tabIndex: 0 });
    lines.setAttribute("role", "log");
    const status = make("div", { className: "status" });
    status.setAttribute("role", "status");
    const title = make("h2");
    const labels = {
      device: make("span"),
      service: make("span"),
      filter: make("span"),
    };
    const bar = make(
      "div",
      { className: "bar" },
      make("label", {}, labels.device, device),
      make("label", {}, labels.service, service),
      make("label", {}, labels.filter, filter),
      make("div", { className: "buttons" }, pause, copy, clear),
    );
    const frame = make("div", { className: "frame" }, lines, newest);
    const card = make("ha-card", {}, title, bar, frame, status);
    root.append(make("style", { textContent: STYLE }), card);
    this.#parts = {
      bar, clear, copy, device, filter, frame, labels, lines, newest, pause, service, status,
      title,
    };

    device.addEventListener("change", () => {
      this.#deviceId = device.value;
      this.#chooseService();
      this.#restart();
    });
    service.addEventListener("change", () => {
      const [name, appId] = JSON.parse(service.value);
      this.#chooseService(name, appId);
      this.#restart();
    });
    filter.addEventListener("input", () => {
      this.#filter = filter.value.trim().toLowerCase();
      for (const line of lines.children) {
        this.#match(line);
      }
      this.#scroll();
      this.#tell();
    });
    pause.addEventListener("click", () => this.#pause(!this.#isPaused));
    copy.addEventListener("click", () => this.#copy());
    clear.addEventListener("click", () => {
      this.#held = [];
      lines.replaceChildren();
      this.#tell();
    });
    newest.addEventListener("click", () => {
      this.#follows = true;
      this.#scroll();
      lines.focus();
    });
    lines.addEventListener(
      "scroll",
      () => {
        const below = lines.scrollHeight - lines.scrollTop - lines.clientHeight;
        this.#follows = below < 24;
        newest.hidden = this.#follows;
      },
      { passive: true },
    );
    new ResizeObserver(() => this.#scroll()).observe(lines);
    this.#label();
  }

  #chooseService(name, appId) {
    this.#service = name ?? "";
    this.#appId = (this.#service && appId) || null;
  }

  #label() {
    const parts = this.#parts;
    if (!parts) {
      return;
    }
    parts.title.textContent = this.#config.title ?? this.#text("title");
    parts.title.hidden = this.#config.title === "";
    for (const name of ["device", "service", "filter"]) {
      parts.labels[name].textContent = this.#text(name);
    }
    parts.copy.textContent = this.#text("copy");
    parts.clear.textContent = this.#text("clear");
    parts.newest.textContent = `↓ ${this.#text("newest")}`;
    parts.lines.setAttribute("aria-label", this.#text("lines"));
    this.#choices();
    this.#tell();
  }

  #choices() {
    const { device, service } = this.#parts;
    const options = this.#devices.map(({ device_id: value, name }) =>
      make("option", { value, textContent: name ?? value }),
    );
    device.replaceChildren(...options);
    device.value = this.#deviceId;
    const valueOf = (name, appId) => JSON.stringify([name, appId]);
    const texts = new Map([[valueOf("", null), this.#text("all")]]);
    for (const { app, app_id: appId, name } of this.#services()) {
      texts.set(valueOf(name, appId), this.#services(name).length > 1 ? `${name} (${app})` : name);
    }
    const chosen = valueOf(this.#service, this.#appId);
    if (!texts.has(chosen)) {
      texts.set(chosen, this.#service);
    }
    service.replaceChildren(
      ...[...texts].map(([value, textContent]) => make("option", { value, textContent })),
    );
    service.value = chosen;
  }

  /** Return the services of the device. With a name, return one service per app that has it. */
  #services(name) {
    const device = this.#devices.find((item) => item.device_id === this.#deviceId);
    return (device?.services ?? []).filter((item) => name === undefined || item.name === name);
  }

  /** Show the current status, or a problem. */
  #tell(problem) {
    const { bar, frame, lines, pause, status } = this.#parts;
    const isAdmin = this.#hass?.user?.is_admin ?? true;
    bar.hidden = frame.hidden = !isAdmin;
    pause.textContent = this.#text(this.#isPaused ? "follow" : "pause");
    pause.classList.toggle("active", this.#isPaused);
    let text = problem ?? "";
    if (!isAdmin) {
      text = this.#text("admin_only");
    } else if (problem === undefined && this.#held.length) {
      text = this.#text("waiting", { count: this.#held.length });
    } else if (problem === undefined && !lines.childElementCount) {
      text = this.#isStarted ? this.#text("loading") : "";
    } else if (problem === undefined && !lines.querySelector(".line:not([hidden])")) {
      text = this.#text("no_match");
    }
    status.classList.toggle("problem", problem !== undefined);
    status.textContent = text;
  }

  // Lines

  #line(entry) {
    const line = make("div", { className: "line" });
    line.classList.toggle("error", entry.is_error);
    if (entry.time) {
      const { short, long } = this.#formatTime(entry.time);
      line.append(
        make("time", { className: "time", dateTime: entry.time, title: long }, short),
        " ",
      );
    }
    if (entry.source) {
      line.append(make("span", { className: "source" }, entry.source), " ");
    }
    line.append(entry.message);
    line.entry = entry;
    this.#match(line);
    return line;
  }

  #note(text) {
    const line = make("div", { className: "line note" }, text);
    this.#match(line);
    return line;
  }

  #match(line) {
    line.hidden = !line.textContent.toLowerCase().includes(this.#filter);
  }

  #add(items) {
    const { lines } = this.#parts;
    lines.append(
      ...items
        .slice(-MAX_LINES)
        .map((item) => (typeof item === "string" ? this.#note(item) : this.#line(item))),
    );
    for (let over = lines.childElementCount - MAX_LINES; over > 0; over -= 1) {
      lines.firstElementChild.remove();
    }
    this.#scroll();
  }

  #scroll() {
    const { lines, newest } = this.#parts;
    if (this.#follows) {
      lines.scrollTop = lines.scrollHeight;
    }
    newest.hidden = this.#follows;
  }

  #pause(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) {
      const held = this.#held;
      this.#held = [];
      this.#follows = true;
      this.#add(held);
    }
    this.#tell();
  }

  async #copy() {
    const { copy, lines } = this.#parts;
    const text = [...lines.children]
      .filter((line) => !line.hidden)
      .map(({ entry, textContent }) =>
        entry
          ? [entry.time, entry.source, entry.message].filter(Boolean).join(" ")
          : textContent,
      )
      .join("\n");
    const isCopied = await this.#write(text);
    copy.textContent = this.#text(isCopied ? "copied" : "not_copied");
    setTimeout(() => {
      copy.textContent = this.#text("copy");
    }, 2000);
  }

  async #write(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Browsers offer the clipboard API only over HTTPS.
      const area = make("textarea", { value: text, readOnly: true });
      area.style.position = "fixed";
      area.style.opacity = "0";
      this.shadowRoot.append(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      this.#parts.copy.focus();
      return isCopied;
    }
  }

  // Subscription

  #stop() {
    this.#generation += 1;
    this.#isStarted = false;
    clearTimeout(this.#retry);
    this.#forgetConnection?.();
    this.#forgetConnection = undefined;
    const unsubscribe = this.#unsubscribe;
    this.#unsubscribe = undefined;
    // The subscription may already have ended.
    unsubscribe?.().catch(() => undefined);
  }

  async #restart() {
    this.#stop();
    if (!this.#isConnected || !this.#hass || !this.#parts) {
      return;
    }
    this.#held = [];
    this.#parts.lines.replaceChildren();
    this.#follows = true;
    this.#scroll();
    this.#tell();
    if (this.#hass.user?.is_admin) {
      await this.#start();
    }
  }

  async #start() {
    const generation = this.#generation;
    const { connection } = this.#hass;
    const isStale = () => generation !== this.#generation;
    try {
      const devices = await connection.sendMessagePromise({ type: `${DOMAIN}/devices` });
      if (isStale()) {
        return;
      }
      this.#devices = devices;
      if (!this.#config.device_id && !devices.some((item) => item.device_id === this.#deviceId)) {
        this.#deviceId = devices[0]?.device_id ?? "";
        this.#chooseService(this.#config.service, this.#config.app_id);
      }
      const [namesake, another] = this.#services(this.#service);
      if (namesake && !another) {
        // An app that the API key cannot see may have a service of the same name.
        this.#appId ??= namesake.app_id;
      }
      this.#choices();
      if (!this.#deviceId) {
        this.#fail(this.#text("no_devices"));
        return;
      }
      this.#isStarted = true;
      const message = {
        type: `${DOMAIN}/logs/subscribe`,
        device_id: this.#deviceId,
        lines: this.#config.lines,
      };
      if (this.#service) {
        message.service = this.#service;
      }
      if (this.#appId !== null) {
        message.app_id = this.#appId;
      }
      let isFirst = true;
      const unsubscribe = await connection.subscribeMessage(
        (event) => {
          if (isStale()) {
            return;
          }
          if (event.ended) {
            this.#fail(this.#localized(event));
            return;
          }
          this.#attempts = 0;
          if (isFirst) {
            // A new subscription repeats lines that were shown before.
            isFirst = false;
            this.#held = [];
            this.#parts.lines.replaceChildren();
          }
          this.#receive(event);
        },
        message,
        // The card restarts on a new connection, which also reloads the devices.
        { resubscribe: false },
      );
      if (isStale()) {
        unsubscribe().catch(() => undefined);
        return;
      }
      this.#unsubscribe = unsubscribe;
      const again = () => {
        this.#unsubscribe = undefined;
        this.#restart();
      };
      connection.addEventListener("ready", again);
      this.#forgetConnection = () => connection.removeEventListener("ready", again);
      this.#tell();
    } catch (error) {
      if (!isStale()) {
        this.#fail(this.#localized(error ?? {}));
      }
    }
  }

  #receive({ entries, dropped }) {
    const items = dropped
      ? [this.#text("dropped", { count: dropped }), ...entries]
      : entries;
    if (this.#isPaused) {
      this.#held = [...this.#held, ...items].slice(-MAX_LINES);
    } else {
      this.#add(items);
    }
    this.#tell();
  }

  #localized({ message, translation_key: key, translation_placeholders: values }) {
    const text =
      key && this.#localize?.(`component.${DOMAIN}.exceptions.${key}.message`, values);
    return text || message || String(message);
  }

  /** Show a problem, and retry with increasing delays until lines arrive. */
  #fail(text) {
    const seconds = RETRY_SECONDS[Math.min(this.#attempts, RETRY_SECONDS.length - 1)];
    this.#attempts += 1;
    this.#tell(`${text} ${this.#text("retrying")}`);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#stop();
      if (this.#isConnected) {
        this.#start();
      }
    }, seconds * 1000);
  }
}

if (!customElements.get("balena-logs-card")) {
  customElements.define("balena-logs-card", BalenaLogsCard);
  window.customCards = window.customCards ?? [];
  window.customCards.push({
    type: "balena-logs-card",
    name: "balena logs",
    description: "Live logs of a balena device and its services",
    preview: false,
  });
}
