// A whole dashboard from the accounts that there are.

import { DOMAIN, everybodys, loadTexts, text } from "./texts.js";

const page = (title, icon, path, sections) =>
  ({ type: "sections", title, icon: `mdi:${icon}`, path, max_columns: 3, sections });
const section = (...cards) => ({ type: "grid", cards });
const heading = (title, icon) => ({ type: "heading", heading: title, icon: `mdi:${icon}` });

export class Dashboard extends HTMLElement {
  /** Returns a till, the list, sums with a graph, and activity. */
  static async generate(config, hass) {
    await loadTexts(hass);
    const { accounts } = await hass.callWS({ type: `${DOMAIN}/accounts` });
    // What the strategy is given knows no texts that were loaded since.
    const said = (key) => text(everybodys(), key);
    const ours = (...keys) =>
      Object.values(hass.entities)
        .filter((each) => each.platform === DOMAIN && keys.includes(each.translation_key))
        .map((each) => each.entity_id);
    const ids = accounts.map((each) => each.config_entry_id);
    const devices = Object.values(hass.devices)
      .filter(({ identifiers }) => identifiers.some(([domain, id]) => domain === DOMAIN && ids.includes(id)))
      .map((each) => each.id);
    const [first, ...others] = accounts
      .filter((each) => each.can_create)
      .map(({ config_entry_id: account, title }, _, { length }) =>
        section({ type: "custom:crypto-invoices-till", account, ...(length > 1 && { title }), ...config.till }));
    const list = section({ type: "custom:crypto-invoices-list" });
    const entities = ours("received");
    const sums = ours("open_invoices", "paid_today", "outstanding", "received", "balance");
    const graph = { type: "statistics-graph", entities, stat_types: ["change"], chart_type: "bar", period: "day", days_to_show: 30 };
    const activity = { type: "logbook", hours_to_show: 168, target: { device_id: devices } };
    return {
      views: [
        page(said("till"), "cash-register", "till", [first, list, ...others].filter(Boolean)),
        page(said("sums"), "chart-bar", "sums", [
          section(heading(said("sums"), "sigma"), ...sums.map((entity) => ({ type: "tile", entity }))),
          section(heading(said("received"), "chart-bar"), ...(entities.length ? [graph] : [])),
          section(heading(said("activity"), "history"), ...(devices.length ? [activity] : [])),
        ]),
      ],
    };
  }
}
