/* A card with one device: what is wrong, its release, its services and its commands. */

const { search: version } = new URL(import.meta.url);
const load = (name) => import(`./${name}${version}`);
const [data, { describe, problemTexts }, elements, style, controls, { offer }] = await Promise.all(
  [
    "dashboard-data.js",
    "dashboard-texts.js",
    "dashboard-elements.js",
    "dashboard-style.js",
    "logs-elements.js",
    "picker.js",
  ].map(load),
);
const { LiveCard, Notices, badge, iconButton, keyed, perform, set } = elements;
const { loadForms, make } = controls;

// Commands of a device: their icon and whether they ask first. "apart" ones lose data or need somebody on site.
const COMMANDS = {
  "button.identify": { icon: "mdi:led-on" },
  "button.check_for_updates": { icon: "mdi:cloud-refresh" },
  "button.restart_services": { icon: "mdi:autorenew", asks: true, isBasic: true },
  "button.reboot": { icon: "mdi:restart", asks: true, isBasic: true },
  "button.shutdown": { icon: "mdi:power", asks: true, isApart: true },
  "button.purge": { icon: "mdi:delete-alert", asks: true, isApart: true },
  "button.cleanup_volumes": { icon: "mdi:delete-sweep", asks: true, isApart: true },
};
const UNAVAILABLE = "unavailable";
const STATUS_TEXTS = `component.${data.DOMAIN}.entity.sensor.service_status.state`;

class BalenaDeviceCard extends LiveCard {
  #parts;

  static async getConfigElement() {
    await loadForms();
    return document.createElement("balena-device-card-editor");
  }

  static getStubConfig(hass) {
    const [device] = data.inventory(hass).devices;
    return device ? { device_id: device.id } : {};
  }

  static check({ device_id: id }) {
    if (id != null && typeof id !== "string") {
      throw new Error("device_id must be the id of one device");
    }
  }

  getCardSize() {
    return 6;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6 };
  }

  get #device() {
    const { devices } = data.inventory(this.hassNow);
    const { device_id: id } = this.config;
    return id ? devices.find((device) => device.id === id) : devices[0];
  }

  follow() {
    const device = this.#device;
    const buttons = Object.keys({ ...COMMANDS, "button.override_lock": {} });
    return device
      ? [data.watched(device), buttons.map((key) => device.entities[key]).filter(Boolean)]
      : [];
  }

  show() {
    this.#parts ??= this.#build();
    const { content, gone, panel } = this.#parts;
    const device = this.#device;
    set(content, { hidden: !device });
    set(gone, { hidden: Boolean(device), textContent: this.text("gone") });
    const condition = device
      ? data.conditionOf(device, this.hassNow.states)
      : { level: "unknown", problems: [] };
    set(panel, { className: `panel ${condition.level}` });
    this.notices.follow(condition.connection, device);
    if (device) {
      this.#showTitle(device, condition);
      this.#showProblems(device, condition);
      this.#showFacts(device, condition);
      this.#showUpdate(device);
      this.#showServices(device);
      this.#showCommands(device);
    }
  }

  #showTitle(device, condition) {
    const { hassNow: hass, text } = this;
    const { icon, name, state, title } = this.#parts;
    set(icon, { icon: style.iconOf(condition) });
    set(name, { textContent: device.name, title: device.name });
    const isListed = this.#hasList(condition);
    set(state, {
      textContent: isListed ? text("filter_attention") : describe(condition, hass, text),
    });
    const page = hass.user?.is_admin && `/config/devices/device/${device.id}`;
    const view = this.config.views && this.viewPath(`device-${device.id}`);
    const href = view && view !== location.pathname ? view : page;
    if (href) {
      title.setAttribute("href", href);
    } else {
      title.removeAttribute("href");
    }
  }

  /** Return whether the problems need a list: the title has room for one. */
  #hasList({ problems: [problem, another] }) {
    return Boolean(another) || ["service_stopped", "update_locked"].includes(problem?.kind);
  }

  #showProblems(device, condition) {
    const { text } = this;
    const problems = this.#hasList(condition) ? condition.problems : [];
    const { "button.override_lock": override } = device.entities;
    this.#parts.showProblems(
      problems.map((problem) => {
        const { kind, service } = problem;
        const running = service?.entities["switch.running"];
        const fixes = {
          service_stopped: running && [
            text("start"),
            text("start_service", { service: service.name }),
            perform("switch.turn_on", running),
          ],
          update_locked: this.#isUsable(override) && [
            text("override"),
            text("override"),
            perform(
              "button.press",
              override,
              text("confirm_override_lock", { device: device.name }),
            ),
          ],
        };
        return {
          key: `${kind} ${service?.id}`,
          icon: style.PROBLEM_ICONS[kind],
          text: problemTexts([problem], text)[0],
          fix: fixes[kind] || undefined,
        };
      }),
    );
  }

  #isUsable(entity) {
    const state = this.hassNow.states[entity]?.state;
    return state !== undefined && state !== UNAVAILABLE;
  }

  #showFacts(device, { connection }) {
    const { hassNow: hass, text } = this;
    const { entities } = device;
    const update = data.updateOf(device, hass.states);
    const { entity, installed, latest } = update;
    const isBehind = update.isAvailable || update.isInstalling;
    const changed = data.lastChange(device, hass.states);
    const online = entities["binary_sensor.online"];
    const { language } = hass.locale ?? hass;
    const facts = [
      { key: "release", value: installed, entity },
      {
        key: "update",
        value: latest && (isBehind ? text("update_to", { version: latest }) : text("up_to_date")),
        entity,
      },
      { key: "connectivity", value: text(`connection_${connection}`), entity: online },
      {
        key: "last_change",
        value: changed && data.relativeTime(changed, Date.now(), language),
        entity: entities["sensor.last_seen"] ?? online,
      },
    ];
    this.#parts.showFacts(facts.filter((fact) => fact.entity && fact.value));
  }

  #showUpdate(device) {
    const { text } = this;
    const { install, progress, update, updateText } = this.#parts;
    const { entity, isAvailable, isInstalling, latest, percentage } = data.updateOf(
      device,
      this.hassNow.states,
    );
    set(update, { hidden: !isAvailable && !isInstalling });
    set(updateText, {
      textContent: isInstalling
        ? text("installing", { version: latest ?? "" })
        : text("update_available", { version: latest ?? "" }),
    });
    set(install.element, { hidden: isInstalling });
    install.update({
      label: text("install"),
      name: text("install_on", { device: device.name }),
      action: perform(
        "update.install",
        entity,
        text("confirm_install", { device: device.name, version: latest ?? "" }),
      ),
      isEnabled: true,
    });
    set(progress, { hidden: !isInstalling, ariaLabel: text("progress") });
    if (percentage === undefined) {
      progress.removeAttribute("value");
    } else {
      set(progress, { value: percentage, max: 100 });
    }
  }

  #showServices(device) {
    const { hassNow: hass, text } = this;
    const { services } = this.#parts;
    set(services.head, { hidden: !device.services.length, textContent: text("services") });
    services.show(
      device.services.map((service) => {
        const { "button.restart_service": restart, "switch.running": running } = service.entities;
        const status = data.serviceStatus(service, hass.states);
        const isStopped = data.isStopped(service, hass.states);
        const runs = hass.states[running]?.state === "on";
        const full = `${device.name} ${service.name}`;
        return {
          key: service.id,
          name: service.name,
          state: this.#statusText(service),
          level: isStopped ? "warning" : status === "running" ? "ok" : "unknown",
          icon: isStopped ? style.PROBLEM_ICONS.service_stopped : "mdi:docker",
          entity: service.entities["sensor.service_status"] ?? running,
          toggle: running && {
            label: text(runs ? "stop_service" : "start_service", { service: service.name }),
            icon: runs ? "mdi:stop" : "mdi:play",
            isEnabled: this.#isUsable(running),
            action: runs
              ? perform("switch.turn_off", running, text("confirm_stop_service", { service: full }))
              : perform("switch.turn_on", running),
          },
          restart: restart && {
            label: text("restart_service", { service: service.name }),
            icon: "mdi:restart",
            isEnabled: this.#isUsable(restart),
            action: perform(
              "button.press",
              restart,
              text("confirm_restart_service", { service: service.name, device: device.name }),
            ),
          },
        };
      }),
    );
  }

  #statusText(service) {
    const { hassNow: hass } = this;
    const state = hass.states[service.entities["sensor.service_status"]];
    if (state) {
      return hass.formatEntityState(state);
    }
    const status = data.serviceStatus(service, hass.states);
    return hass.localize(`${STATUS_TEXTS}.${status}`) || hass.localize(`state.default.${status}`);
  }

  #showCommands(device) {
    const { hassNow: hass, text } = this;
    const { apart, commands } = this.#parts;
    const all = Object.entries(COMMANDS)
      .filter(([key, { isBasic }]) => device.entities[key] && (this.config.all_commands || isBasic))
      .map(([key, { asks, icon, isApart }]) => {
        const entity = device.entities[key];
        const question = asks && text(`confirm_${key.split(".")[1]}`, { device: device.name });
        const label = text(`command_${key.split(".")[1]}`);
        const name = `${label}, ${device.name}`;
        const action = perform("button.press", entity, question);
        return {
          key,
          icon,
          isApart,
          label,
          name,
          action,
          isEnabled: this.#isUsable(entity),
          states: hass.states,
        };
      });
    commands.show(all.filter(({ isApart }) => !isApart));
    apart.show(all.filter(({ isApart }) => isApart));
    set(apart.element, { hidden: !all.some(({ isApart }) => isApart) });
  }

  // Elements

  #build() {
    this.notices = new Notices(this);
    const { element: round, icon } = badge();
    const name = make("span", { className: "name", dir: "auto" });
    const state = make("span", { className: "state" });
    const words = make("span", { className: "words" }, name, state);
    const title = make("a", { className: "title" }, round, words);
    const problems = make("div", { className: "problems" });
    const facts = make("div", { className: "facts" });
    const updateText = make("span");
    const install = this.#command("command main");
    const progress = make("progress");
    const update = make("div", { className: "update" }, updateText, install.element, progress);
    const serviceList = make("ul", { className: "services" });
    const serviceHead = make("h3");
    const commands = this.#commands("commands end");
    const apart = this.#commands("commands apart", "command danger");
    const gone = make("div", { className: "gone" });
    const content = [
      title,
      problems,
      facts,
      update,
      serviceHead,
      serviceList,
      commands.element,
      apart.element,
    ];
    const panel = make("div", { className: "panel" }, ...content);
    this.attachShadow({ mode: "open" }).append(
      make("style", { textContent: style.STYLE + style.DEVICE_STYLE }),
      this.notices.element,
      panel,
      gone,
    );
    return {
      apart,
      commands,
      content: panel,
      gone,
      icon,
      install,
      name,
      panel,
      progress,
      services: {
        head: serviceHead,
        show: keyed(serviceList, {
          create: () => this.#service(),
          update: (item, values) => item.show(values),
        }),
      },
      showFacts: keyed(facts, {
        create: () => this.#fact(),
        update: (item, values) => item.show(values),
      }),
      showProblems: keyed(problems, {
        create: () => this.#problem(),
        update: (item, values) => item.show(values),
      }),
      state,
      title,
      update,
      updateText,
    };
  }

  /** Return a button with a label. */
  #command(className = "command") {
    const icon = make("ha-icon");
    const label = make("span");
    const element = make("button", { type: "button", className }, icon, label);
    let action;
    element.addEventListener("click", () => this.act(action));
    const update = (item) => {
      ({ action } = item);
      set(icon, { icon: item.icon, hidden: !item.icon });
      set(label, { textContent: item.label });
      set(element, { ariaLabel: item.name, disabled: !item.isEnabled });
    };
    return { element, update };
  }

  #commands(className, buttonClass) {
    const element = make("div", { className });
    const show = keyed(element, {
      create: () => {
        const { element: button, update } = this.#command(buttonClass);
        return Object.assign(button, { show: update });
      },
      update: (button, item) => button.show(item),
    });
    return { element, show };
  }

  #fact() {
    const label = make("span", { className: "label" });
    const value = make("span", { className: "value" });
    const element = make("button", { type: "button", className: "fact" }, label, value);
    let shown;
    element.addEventListener("click", () => this.showMore(shown.entity));
    const show = (fact) => {
      shown = fact;
      set(label, { textContent: this.text(fact.key) });
      set(value, { textContent: fact.value });
    };
    return Object.assign(element, { show });
  }

  #problem() {
    const icon = make("ha-icon", { ariaHidden: "true" });
    const words = make("span");
    const fix = this.#command();
    const element = make("div", { className: "problem" }, icon, words, fix.element);
    const show = (problem) => {
      set(icon, { icon: problem.icon });
      set(words, { textContent: problem.text });
      set(fix.element, { hidden: !problem.fix });
      if (problem.fix) {
        const [label, name, action] = problem.fix;
        fix.update({ label, name, action, isEnabled: true });
      }
    };
    return Object.assign(element, { show });
  }

  #service() {
    const icon = make("ha-icon", { ariaHidden: "true" });
    const name = make("span", { className: "name", dir: "auto" });
    const state = make("span", { className: "state" });
    const who = make("button", { type: "button", className: "who" }, icon, name, state);
    let shown;
    who.addEventListener("click", () => this.showMore(shown.entity));
    const toggle = iconButton(() => this.act(shown.toggle.action));
    const restart = iconButton(() => this.act(shown.restart.action));
    const element = make("li", {}, who, toggle.element, restart.element);
    const show = (service) => {
      shown = service;
      set(element, { className: service.level });
      set(icon, { icon: service.icon });
      set(name, { textContent: service.name, title: service.name });
      set(state, { textContent: service.state });
      for (const [button, item] of [
        [toggle, service.toggle],
        [restart, service.restart],
      ]) {
        set(button.element, { hidden: !item });
        if (item) {
          button.update(item.label, item.icon, item.isEnabled);
        }
      }
    };
    return Object.assign(element, { show });
  }
}

if (!customElements.get("balena-device-card")) {
  customElements.define("balena-device-card", BalenaDeviceCard);
  offer("customCards", "device_card", {
    type: "balena-device-card",
    name: "balena device",
    description: "A balena device: what is wrong, its release, services and commands",
    preview: true,
    getEntitySuggestion: (hass, entityId) => {
      const { device_id: id } = hass.entities[entityId] ?? {};
      const { devices } = data.inventory(hass);
      const device = devices.find((item) =>
        [item, ...item.services].some((part) => part.id === id),
      );
      return device && { config: { type: "custom:balena-device-card", device_id: device.id } };
    },
  });
}
