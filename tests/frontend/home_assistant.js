/* A small Home Assistant for tests of the frontend: its registries and states, as a page has them. */

/** Collects devices, entities and states. */
export class Home {
  devices = {};
  entities = {};
  states = {};

  fleet(name) {
    this.devices[name] = { id: name, name, entry_type: "service" };
    this.entity("sensor", "fleet_devices", name, "1");
    return this;
  }

  /** Add a device with *Online* and its attributes. `states` has more states by "domain.translation_key". */
  device(name, { fleet, online = "on", tags = {}, problems, status, ...states } = {}) {
    this.devices[name] = { id: name, name, entry_type: null, via_device_id: fleet };
    this.entity("binary_sensor", "online", name, online, { tags, problems, status });
    for (const [key, state] of Object.entries(states)) {
      this.entity(...key.split("."), name, ...[state].flat());
    }
    return this;
  }

  /** Add a service to a device. */
  service(device, name, { status = "running", stoppedByItself = false } = {}) {
    const id = `${device}_${name}`;
    this.devices[id] = { id, name, entry_type: null, parent_device_id: device };
    this.entity("sensor", "service_status", id, status);
    const running = status === "running" ? "on" : "off";
    this.entity("switch", "running", id, running, { stopped_by_itself: stoppedByItself });
    return this;
  }

  entity(domain, key, device, state, attributes = {}) {
    const id = `${domain}.${device}_${key}`;
    const registered = { entity_id: id, device_id: device, platform: "balena_supervisor" };
    this.entities[id] = { ...registered, translation_key: key };
    this.states[id] = { entity_id: id, state, attributes };
    return this;
  }

  /** Return `hass` as cards and strategies get it. Texts are their keys with their values. */
  hass(more = {}) {
    const { devices, entities, states } = this;
    const localize = (key, values) =>
      [key.split(".").pop(), ...Object.values(values ?? {})].join(" ");
    return {
      config: { components: ["logbook"] },
      devices,
      entities,
      formatEntityState: ({ state }) => state,
      language: "en",
      loadBackendTranslation: async () => localize,
      states,
      user: { is_admin: true },
      ...more,
    };
  }
}
