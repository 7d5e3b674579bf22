/* The log card: shows live log lines of a device, or of one of its services. */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const load = (name) => import(`./${name}${search}`);
const [
  { loadForms, make, makeButton, makeChoices, makeSearch },
  { LogLines },
  { MAX_LINES, claimSession, releaseSession },
  { checkConfig, deviceOptions, devicesOf, serviceOptions, serviceValue },
  { STYLE },
  { Texts, Times },
] = await Promise.all(
  ["elements", "lines", "session", "sources", "style", "texts"].map((name) =>
    load(`logs-${name}.js`),
  ),
);
const { offer } = await load("picker.js");
await load("logs-editor.js");

const DOMAIN = "balena_supervisor";
const RETRY_SECONDS = 3;
// A subscription that cannot work ends earlier than this.
const SETTLE_SECONDS = 1;
// Reasons for an interruption that are no problem: somebody reboots, shuts down or updates the device.
const OUTAGES = ["logs_rebooting", "logs_shutting_down", "logs_updating"];
// Errors that do not go away while the devices stay the same.
const FINAL_ERRORS = ["device_gone", "unknown_device", "unsupported"];

class BalenaLogsCard extends HTMLElement {
  #config;
  #hass;
  #session;
  #texts = new Texts();
  #times = new Times();
  // The services of the device.
  #services = [];
  #parts;
  #isConnected = false;
  // Increases with each restart, so that answers to earlier requests are ignored.
  #generation = 0;
  #isStarted = false;
  // Why there are no new lines. `text` is a sentence; `isFinal` if a retry is of no use.
  #problem;
  #retry;
  #unsubscribe;
  #forgetConnection;

  static async getConfigElement() {
    await loadForms();
    return document.createElement("balena-logs-card-editor");
  }

  static getStubConfig(hass) {
    const [device] = devicesOf(hass);
    return device ? { device_id: device.id } : {};
  }

  setConfig(config) {
    this.#config = checkConfig(config);
    this.#leave();
    this.#enter();
  }

  set hass(hass) {
    const before = this.#hass;
    this.#hass = hass;
    this.#times.hass = hass;
    if (before?.language !== hass.language) {
      this.#texts.load(hass).then(() => this.#label());
    } else if (before.localize !== hass.localize) {
      this.#texts.localize = hass.localize;
      this.#label();
    }
    if (!before) {
      this.#enter();
    } else if (before.connection !== hass.connection || before.user !== hass.user) {
      this.#restart();
    } else if (before.devices !== hass.devices) {
      this.#handleDevices();
    } else if (before.locale !== hass.locale) {
      this.#parts?.lines.updateTimes();
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
    this.#enter();
  }

  disconnectedCallback() {
    this.#isConnected = false;
    this.#leave();
  }

  /** Continue the session of an earlier card, or begin one. */
  #enter() {
    if (this.#session || !this.#isConnected || !this.#config || !this.#hass) {
      return;
    }
    const { device_id: deviceId, service, app_id: appId } = this.#config;
    const key = JSON.stringify([location.pathname, deviceId, service, appId]);
    this.#session = claimSession(key);
    if (!this.#session.deviceId) {
      this.#session.choose(deviceId ?? devicesOf(this.#hass)[0]?.id ?? "", service, appId);
    }
    this.#build();
    this.#parts.lines.show(this.#session);
    this.#restart();
  }

  #leave() {
    if (this.#session) {
      this.#stop();
      releaseSession(this.#session);
      this.#session = undefined;
    }
  }

  // Elements

  #build() {
    if (this.#parts) {
      this.#label();
      return;
    }
    const lines = new LogLines(this.#times, () => this.#tell());
    const buttons = {
      pause: makeButton(() => this.#pause()),
      wrap: makeButton(() => {
        this.#session.wraps = !this.#session.wraps;
        lines.wrap();
        this.#tell();
      }),
      copy: makeButton(() => this.#copy()),
      download: makeButton(() => this.#download()),
      clear: makeButton(() => {
        this.#session.items = this.#session.held = [];
        lines.refresh();
        this.#tell();
      }),
    };
    const choices = makeChoices((name, value) => this.#choose(name, value));
    const filter = makeSearch((value) => {
      this.#session.filter = value.trim().toLowerCase();
      this.#session.filterText = value;
      lines.refresh();
    });
    const newest = make("button", { type: "button", className: "newest", hidden: true });
    newest.addEventListener("click", () => {
      lines.goToEnd();
      lines.element.focus();
    });
    const title = make("h2");
    const waiting = make("div", { className: "status" });
    const status = make("div", { className: "status" });
    status.setAttribute("role", "status");
    const tools = make(
      "div",
      { className: "tools" },
      filter.element,
      make(
        "div",
        { className: "buttons" },
        ...Object.values(buttons).map(({ element }) => element),
      ),
    );
    const bar = make("div", { className: "bar" }, choices.element, tools);
    const frame = make("div", { className: "frame" }, lines.element, newest);
    const card = make("ha-card", {}, title, bar, frame, waiting, status);
    this.attachShadow({ mode: "open" }).append(make("style", { textContent: STYLE }), card);
    this.#parts = {
      bar,
      buttons,
      card,
      choices,
      filter,
      frame,
      lines,
      newest,
      status,
      title,
      waiting,
    };
    this.#label();
  }

  #label() {
    if (!this.#session || !this.#parts) {
      return;
    }
    const { buttons, card, filter, lines, newest, title } = this.#parts;
    const text = (key) => this.#texts.text(key);
    title.textContent = this.#config.title ?? text("title");
    title.hidden = this.#config.title === "";
    card.classList.toggle("compact", Boolean(this.#config.compact));
    filter.update(text("filter"), this.#session.filterText);
    buttons.copy.update(text("copy"), "mdi:content-copy");
    buttons.download.update(text("download"), "mdi:download");
    buttons.clear.update(text("clear"), "mdi:notification-clear-all");
    newest.textContent = `↓ ${text("newest")}`;
    lines.element.setAttribute("aria-label", text("lines"));
    this.#showChoices();
    this.#tell();
  }

  #showChoices() {
    const text = (key) => this.#texts.text(key);
    const { appId, deviceId, level, service } = this.#session;
    const devices = deviceOptions(this.#hass, text("local"));
    const levels = { all: "all_levels", warnings: "warnings", errors: "errors" };
    const hasOther = devices.some(({ value }) => value !== deviceId);
    const device = { name: "device", label: text("device"), value: deviceId, options: devices };
    this.#parts.choices.update(this.#hass, [
      ...(hasOther ? [device] : []),
      {
        name: "service",
        label: text("service"),
        value: serviceValue(service, appId),
        options: serviceOptions(this.#services, text("all"), service, appId),
      },
      {
        name: "level",
        label: text("level"),
        value: level,
        options: Object.entries(levels).map(([value, key]) => ({ value, label: text(key) })),
      },
    ]);
  }

  #choose(name, value) {
    const session = this.#session;
    if (name === "level") {
      session.level = value;
      this.#parts.lines.refresh();
      this.#showChoices();
      return;
    }
    if (name === "device") {
      this.#services = [];
      session.choose(value);
    } else {
      session.choose(session.deviceId, ...JSON.parse(value));
    }
    this.#parts.lines.show(session);
    this.#restart();
  }

  /** Show what the card does, or why it has no lines. */
  #tell() {
    if (!this.#session || !this.#parts) {
      return;
    }
    const { bar, buttons, frame, lines, newest, status, waiting } = this.#parts;
    const { follows, held, isPaused, wraps } = this.#session;
    const isAdmin = this.#hass.user?.is_admin ?? true;
    bar.hidden = !isAdmin || Boolean(this.#config.compact);
    frame.hidden = !isAdmin;
    newest.hidden = follows;
    buttons.pause.update(
      this.#texts.text(isPaused ? "follow" : "pause"),
      isPaused ? "mdi:play" : "mdi:pause",
      isPaused,
    );
    buttons.wrap.update(
      this.#texts.text(wraps ? "no_wrap" : "wrap"),
      wraps ? "mdi:wrap-disabled" : "mdi:wrap",
    );
    // Changes often, so screen readers do not read it aloud.
    setText(waiting, held.length ? this.#texts.text("waiting", { count: held.length }) : "");
    let text = "";
    if (!isAdmin) {
      text = this.#texts.text("admin_only");
    } else if (this.#problem) {
      text = this.#problem.text();
    } else if (lines.isEmpty) {
      text = this.#isStarted && !held.length ? this.#texts.text("loading") : "";
    } else if (!lines.hasVisible) {
      text = this.#texts.text("no_match");
    }
    const isProblem = this.#problem && !this.#problem.isExpected;
    status.classList.toggle("problem", isAdmin && Boolean(isProblem));
    setText(status, text);
  }

  // Actions of the person

  #pause() {
    const session = this.#session;
    session.isPaused = !session.isPaused;
    if (!session.isPaused) {
      const held = session.held;
      session.held = [];
      this.#parts.lines.goToEnd();
      this.#add(held);
    }
    this.#tell();
  }

  async #copy() {
    const { copy } = this.#parts.buttons;
    const isCopied = await this.#write(this.#session.asText());
    copy.update(
      this.#texts.text(isCopied ? "copied" : "not_copied"),
      isCopied ? "mdi:check" : "mdi:alert",
    );
    setTimeout(() => copy.update(this.#texts.text("copy"), "mdi:content-copy"), 2000);
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
      this.#parts.buttons.copy.element.focus();
      return isCopied;
    }
  }

  #download() {
    const { deviceId, service } = this.#session;
    const device = devicesOf(this.#hass).find(({ id }) => id === deviceId)?.name;
    const names = [device, service, new Date().toISOString().slice(0, 19)];
    const href = URL.createObjectURL(new Blob([this.#session.asText()], { type: "text/plain" }));
    const download = `${names
      .filter(Boolean)
      .join("_")
      .replace(/[^\p{L}\p{N}_-]/gu, "-")}.log`;
    make("a", { href, download }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }

  // Subscription

  #stop() {
    this.#generation += 1;
    if (this.#isStarted && this.#session.items.length) {
      this.#session.leftAt ??= new Date();
    }
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
    if (!this.#session) {
      return;
    }
    this.#stop();
    this.#problem = undefined;
    this.#showChoices();
    this.#tell();
    if (this.#hass.user?.is_admin) {
      await this.#start();
    }
  }

  async #start() {
    const generation = this.#generation;
    const session = this.#session;
    const { connection } = this.#hass;
    const isStale = () => generation !== this.#generation;
    const devices = devicesOf(this.#hass);
    if (!this.#config.device_id && !devices.some(({ id }) => id === session.deviceId)) {
      session.choose(devices[0]?.id ?? "", this.#config.service, this.#config.app_id);
      this.#parts.lines.show(session);
      this.#showChoices();
    }
    if (!session.deviceId) {
      this.#fail(() => this.#texts.text("no_devices"), true);
      return;
    }
    const again = () => this.#restart();
    connection.addEventListener("ready", again);
    this.#forgetConnection = () => connection.removeEventListener("ready", again);
    try {
      await this.#loadServices();
      if (isStale()) {
        return;
      }
      const message = {
        type: `${DOMAIN}/logs/subscribe`,
        device_id: session.deviceId,
        lines: session.items.length ? MAX_LINES : this.#config.lines,
        reconnect: true,
      };
      if (session.service) {
        message.service = session.service;
      }
      if (session.appId !== null) {
        message.app_id = session.appId;
      }
      session.expectRepetitions();
      // The first event of the new subscription can come before the response.
      const earlier = this.#problem;
      const unsubscribe = await connection.subscribeMessage(
        (event) => isStale() || this.#receive(event),
        message,
        // The card subscribes again on a new connection.
        { resubscribe: false },
      );
      if (isStale()) {
        unsubscribe().catch(() => undefined);
        return;
      }
      this.#unsubscribe = unsubscribe;
      this.#isStarted = true;
      this.#tell();
      this.#forgetProblem(earlier);
    } catch (error) {
      if (!isStale()) {
        this.#fail(() => this.#texts.error(error), isFinal(error));
      }
    }
  }

  /** Forget why an earlier subscription ended, if this one does not end for the same reason. */
  #forgetProblem(problem) {
    const generation = this.#generation;
    setTimeout(() => {
      if (generation === this.#generation && problem === this.#problem) {
        this.#problem = undefined;
        this.#tell();
      }
    }, SETTLE_SECONDS * 1000);
  }

  /** Load the services of the device, and the app of the service if it is the only one of its name. */
  async #loadServices() {
    const generation = this.#generation;
    const session = this.#session;
    const [device] = await this.#hass.connection.sendMessagePromise({
      type: `${DOMAIN}/devices`,
      device_id: session.deviceId,
    });
    if (generation !== this.#generation) {
      return;
    }
    this.#services = device?.services ?? [];
    const [namesake, another] = this.#services.filter(({ name }) => name === session.service);
    if (namesake && !another) {
      // An app that the API key cannot see may have a service of the same name.
      session.appId ??= namesake.app_id;
    }
    this.#showChoices();
  }

  #handleDevices() {
    if (this.#problem?.isFinal) {
      this.#restart();
    } else if (this.#isStarted) {
      // A service may be new.
      this.#loadServices().catch(() => undefined);
    }
  }

  #receive(event) {
    if (event.ended) {
      this.#fail(() => this.#texts.error(event), event.is_final);
    } else if (event.interrupted) {
      this.#session.interruptedAt ??= new Date();
      const isExpected = OUTAGES.includes(event.translation_key);
      const text = () => this.#texts.error(event);
      this.#problem = { isExpected, text: isExpected ? text : () => this.#withRetry(text()) };
    } else if (event.interrupted === false) {
      this.#problem = undefined;
      this.#addGap(this.#session.interruptedAt);
    } else {
      this.#problem = undefined;
      this.#receiveEntries(event);
    }
    this.#tell();
  }

  #receiveEntries({ entries, dropped }) {
    const { fresh, hasGap } = this.#session.takeNew(entries);
    if (hasGap || this.#session.interruptedAt) {
      this.#addGap(this.#session.interruptedAt ?? this.#session.leftAt);
    }
    this.#session.leftAt = undefined;
    if (dropped) {
      this.#add([{ note: this.#texts.text("dropped", { count: dropped }) }]);
    }
    this.#add(fresh.map((entry) => ({ entry })));
  }

  /** Mark where lines may be missing. */
  #addGap(begin) {
    this.#session.interruptedAt = undefined;
    if (begin && this.#session.items.length) {
      const [from, to] = [begin, new Date()].map((time) => this.#times.now(time));
      this.#add([{ note: this.#texts.text("gap", { begin: from, end: to }) }]);
    }
  }

  #add(items) {
    this.#parts.lines.add(this.#session.add(items));
  }

  /** Show a problem, and try again soon unless that is of no use. */
  #fail(text, isFinal = false) {
    this.#stop();
    if (this.#session.items.length) {
      this.#session.interruptedAt ??= new Date();
    }
    this.#problem = { isFinal, text: isFinal ? text : () => this.#withRetry(text()) };
    this.#tell();
    if (!isFinal) {
      this.#retry = setTimeout(() => this.#start(), RETRY_SECONDS * 1000);
    }
  }

  #withRetry(text) {
    return `${text} ${this.#texts.text("retrying")}`;
  }
}

function isFinal(error) {
  return FINAL_ERRORS.includes(error?.translation_key);
}

/** Change a text only if it is another one, because screen readers read changes aloud. */
function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

if (!customElements.get("balena-logs-card")) {
  customElements.define("balena-logs-card", BalenaLogsCard);
  offer("customCards", "logs_card", {
    type: "balena-logs-card",
    name: "balena logs",
    description: "Live logs of a balena device and its services",
    preview: true,
  });
}
