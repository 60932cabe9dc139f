// What Home Assistant's frontend loads: makes the cards and the dashboard known.

import { InvoiceList } from "./list.js";
import { Dashboard } from "./strategy.js";
import { hass, loadTexts, text } from "./texts.js";
import { Till } from "./till.js";

/** Offers something in the user's language; until there are texts, in English. */
const offer = (type, name, more) => ({
  type: `crypto-invoices${type && `-${type}`}`,
  preview: true,
  get name() {
    return (type && hass() && text(hass(), `name_${type}`)) || name;
  },
  get description() {
    return hass() && text(hass(), `about_${type || "dashboard"}`);
  },
  ...more,
});

customElements.define("crypto-invoices-till", Till);
customElements.define("crypto-invoices-list", InvoiceList);
customElements.define("ll-strategy-dashboard-crypto-invoices", Dashboard);
(window.customCards ??= []).push(
  offer("till", "Crypto Invoices till"),
  offer("list", "Crypto Invoices list"),
);
(window.customStrategies ??= []).push(offer("", "Crypto Invoices", { strategyType: "dashboard" }));
customElements.whenDefined("home-assistant").then(async () => {
  while (!hass()) await new Promise((done) => setTimeout(done, 100));
  loadTexts(hass()).catch(() => {});
});
