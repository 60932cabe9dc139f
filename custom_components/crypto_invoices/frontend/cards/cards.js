// What Home Assistant's frontend loads: makes the cards and the dashboard known.

import { InvoiceList } from "./list.js";
import { Dashboard } from "./strategy.js";
import { everybodys as hass, loadTexts, text } from "./texts.js";
import { Till } from "./till.js";

const said = (key) => hass() && text(hass(), key);
/** Offers something in the user's language; until there are texts, in English. */
const offer = (kind, more) => ({
  type: `crypto-invoices-${kind}`,
  preview: true,
  get name() {
    return said(`name_${kind}`) || `Crypto Invoices ${kind}`;
  },
  get description() {
    return said(`about_${kind}`);
  },
  ...more,
});

customElements.define("crypto-invoices-till", Till);
customElements.define("crypto-invoices-list", InvoiceList);
customElements.define("ll-strategy-dashboard-crypto-invoices", Dashboard);
(window.customCards ??= []).push(offer("till"), offer("list"));
const shop = { type: "crypto-invoices", name: "Crypto Invoices", strategyType: "dashboard" };
(window.customStrategies ??= []).push(offer("dashboard", shop));
customElements.whenDefined("home-assistant").then(async () => {
  while (!hass()) await new Promise((done) => setTimeout(done, 100));
  loadTexts(hass()).catch(() => {});
});
