/* The texts and times of the log card. */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.logs_card`;

// English fallback until the translations are loaded. Same as config_panel.logs_card in en.json.
const TEXTS = {
  title: "balena logs",
  device: "Device",
  service: "Service",
  all: "All",
  level: "Level",
  all_levels: "All levels",
  warnings: "Warnings and errors",
  errors: "Errors only",
  filter: "Filter",
  pause: "Pause",
  follow: "Resume",
  wrap: "Wrap long lines",
  no_wrap: "Do not wrap long lines",
  copy: "Copy",
  copied: "Copied",
  not_copied: "Copying failed",
  download: "Download",
  clear: "Clear",
  lines: "Log lines",
  newest: "Go to the newest line",
  admin_only: "Only administrators can see logs.",
  no_devices: "No device with logs is set up.",
  loading: "Waiting for log lines…",
  no_match: "No line matches the filter.",
  dropped: "{count} lines were skipped.",
  gap: "Interrupted from {begin} to {end}. Lines may be missing here.",
  waiting: "{count} new lines while paused",
  not_loaded: "The balena integration is not loaded in Home Assistant.",
  disconnected: "The connection to Home Assistant was lost.",
  failed: "Home Assistant could not read the logs.",
  retrying: "The card retries automatically.",
  backlog: "Lines to load",
  local: "local",
};

// Errors that Home Assistant reports without a translation, by their code. Code 3 is a lost connection.
const ERRORS = { unknown_command: "not_loaded", unauthorized: "admin_only", 3: "disconnected" };

// Home Assistant answers a request for texts that something else is loading at once, without them.
// In milliseconds.
const TEXT_WAIT = 100;
const MAX_TEXT_WAIT = 5000;

// A text of each category.
const KNOWN = [`${PREFIX}.title`, `component.${DOMAIN}.exceptions.logs_ended.message`];

// By language, for all cards.
const loading = new Map();

async function load(hass) {
  const request = async () => {
    await hass.loadBackendTranslation("exceptions", DOMAIN);
    return hass.loadBackendTranslation("config_panel", DOMAIN);
  };
  let localize = await request();
  const isComplete = () => KNOWN.every((key) => localize(key));
  for (let wait = 0; wait < MAX_TEXT_WAIT && !isComplete(); wait += TEXT_WAIT) {
    await new Promise((resolve) => setTimeout(resolve, TEXT_WAIT));
    localize = await request();
  }
  return localize;
}

export class Texts {
  #localize;

  set localize(localize) {
    this.#localize = localize;
  }

  /** Load the translations of a language. Without them, the texts stay English. */
  async load(hass) {
    const { language } = hass;
    if (!loading.has(language)) {
      loading.set(language, load(hass));
    }
    try {
      this.#localize = await loading.get(language);
    } catch {
      loading.delete(language);
    }
  }

  text(key, values = {}) {
    const text = this.#localize?.(`${PREFIX}.${key}`, values);
    return text || TEXTS[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  /** Return an error of Home Assistant, or the reason of an event, as a sentence. */
  error(error) {
    const {
      code = error,
      message,
      translation_domain: domain = DOMAIN,
      translation_key: key,
      translation_placeholders: values,
    } = error ?? {};
    // Texts of Home Assistant contain ids of entries and devices.
    if (!key || domain !== DOMAIN) {
      return this.text(ERRORS[code] ?? "failed");
    }
    const text = this.#localize?.(`component.${DOMAIN}.exceptions.${key}.message`, values ?? {});
    return toSentence(text || message || this.text("failed"));
  }
}

/** Add the full stop that Home Assistant removes from the end of an error. */
export function toSentence(text) {
  return /[.!?。]$/u.test(text) ? text : `${text}.`;
}

/** Formats times as the person has set in the profile. */
export class Times {
  #hass;
  #formatsOf;
  #time;
  #day;
  #full;
  #last = [];

  set hass(hass) {
    this.#hass = hass;
    const { language, time_format: format, time_zone: zone } = hass.locale ?? {};
    const key = JSON.stringify([language, format, zone, hass.config?.time_zone]);
    if (this.#formatsOf === key) {
      return;
    }
    this.#formatsOf = key;
    this.#last = [];
    const common = { timeZone: zone === "server" ? hass.config.time_zone : undefined };
    const time = {
      ...common,
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: this.#hasHalfDays() ? "h12" : "h23",
    };
    const day = { ...common, month: "short", day: "numeric" };
    this.#time = new Intl.DateTimeFormat(language, time);
    this.#day = new Intl.DateTimeFormat(language, day);
    this.#full = new Intl.DateTimeFormat(language, {
      ...time,
      ...day,
      year: "numeric",
      fractionalSecondDigits: 3,
    });
  }

  /** Return whether times have AM and PM, decided as Home Assistant does. */
  #hasHalfDays() {
    const { language, time_format: format } = this.#hass.locale ?? {};
    if (format === "12" || format === "24") {
      return format === "12";
    }
    const locale = format === "system" ? undefined : language;
    return new Date("2023-01-01T22:00:00").toLocaleTimeString(locale).includes("10");
  }

  /** Return the date of today, which changes at midnight. */
  today() {
    return this.#day.format(new Date());
  }

  /** Return a time, with its date if that is not today. */
  short(iso, today) {
    // Most lines come in the same second as the line before.
    const second = `${iso.slice(0, 19)} ${today}`;
    if (this.#last[0] !== second) {
      const time = new Date(iso);
      const day = this.#day.format(time);
      const short = this.#time.format(time);
      this.#last = [second, day === today ? short : `${day}, ${short}`];
    }
    return this.#last[1];
  }

  /** Return a time of this page. */
  now(time) {
    return this.short(time.toISOString(), this.today());
  }

  long(iso) {
    return this.#full.format(new Date(iso));
  }
}
