// A whole dashboard from the accounts that there are.

import { DOMAIN, hass as everybodys, loadTexts, text } from "./texts.js";

const PAGE = (title, icon, path, sections) => ({ type: "sections", title, icon: `mdi:${icon}`, path, max_columns: 3, sections });

export class Dashboard extends HTMLElement {
  /** Returns a till, the list, sums with a graph, and activity. @param {import("./texts.js").Hass} hass */
  static async generate(config, hass) {
    await loadTexts(hass);
    const { accounts } = await hass.callWS({ type: `${DOMAIN}/accounts` });
    const said = (key) => text(everybodys(), key);
    const ours = (...keys) =>
      Object.values(hass.entities)
        .filter((each) => each.platform === DOMAIN && keys.includes(each.translation_key))
        .map((each) => each.entity_id);
    const ids = accounts.map((each) => each.config_entry_id);
    const devices = Object.values(hass.devices)
      .filter(({ identifiers }) => identifiers.some(([domain, id]) => domain === DOMAIN && ids.includes(id)))
      .map((each) => each.id);
    const heading = (name, icon) => ({ type: "heading", heading: name, icon: `mdi:${icon}` });
    const section = (...cards) => ({ type: "grid", cards });
    const tills = accounts
      .filter((each) => each.can_create)
      .map(({ config_entry_id, title }, _, { length }) => ({
        type: "custom:crypto-invoices-till",
        account: config_entry_id,
        ...(length > 1 && { title }),
        ...config.till,
      }));
    const [first, ...others] = tills;
    const list = { type: "custom:crypto-invoices-list" };
    const received = ours("received");
    const sums = ours("open_invoices", "paid_today", "outstanding", "received", "balance");
    const graph = { type: "statistics-graph", entities: received, stat_types: ["change"], chart_type: "bar", period: "day", days_to_show: 30 };
    const activity = { type: "logbook", hours_to_show: 168, target: { device_id: devices } };
    return {
      views: [
        PAGE(said("till"), "cash-register", "till", [first, list, ...others].filter(Boolean).map((card) => section(card))),
        PAGE(said("sums"), "chart-bar", "sums", [
          section(heading(said("sums"), "sigma"), ...sums.map((entity) => ({ type: "tile", entity }))),
          section(heading(said("received"), "chart-bar"), ...(received.length ? [graph] : [])),
          section(heading(said("activity"), "history"), ...(devices.length ? [activity] : [])),
        ]),
      ],
    };
  }
}
