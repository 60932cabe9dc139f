// A till for one invoice.

import {
  actionButton, ask, badge, copyButton, element, expiry, keepingFocus, lookAgain,
} from "./common.js";

const [, , provider, id] = location.pathname.split("/");
const till = document.querySelector("main");
let seen;

async function look() {
  const invoice = await ask(`invoices/${provider}/${id}`);
  const now = JSON.stringify(invoice);
  if (now === seen) return;
  seen = now;
  document.title = `${invoice.order_id || invoice.id} · Payment sandbox`;
  const pay = invoice.actions.filter(({ action }) => action === "pay");
  const others = invoice.actions.filter(({ action }) => action !== "pay" && action !== "delete");
  const buttons = (actions) => actions.map((action) => actionButton(invoice, action, look));
  const received = Number(invoice.received)
    ? `received ${invoice.received} ${invoice.currency}`
    : expiry(invoice);
  keepingFocus(() => till.replaceChildren(
    element("h1", { textContent: invoice.order_id || "Invoice" }),
    element("p", { className: "total", textContent: `${invoice.amount} ${invoice.currency}` }),
    badge(invoice),
    element("p", { className: "quiet", textContent: received }),
    ...buttons(pay),
    element("div", { className: "actions" }, ...buttons(others)),
    copyButton(invoice.id, "id"),
  ));
}

lookAgain(look);
