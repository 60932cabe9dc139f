// All invoices, provider by provider.

import {
  actionButton, ask, attempt, badge, copyButton, element, expiry, keepingFocus, labelled,
  lookAgain, words,
} from "./common.js";

const SHOWN = 50;
const cards = new Map();
const seen = new Map();

const option = (value, text = words(value)) => element("option", { value, textContent: text });

const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

function makeCard(provider, faults) {
  const card = document.getElementById("provider").content.cloneNode(true).firstElementChild;
  const find = (selector) => card.querySelector(selector);
  find("h2").textContent = provider.name;
  find("h2").id = `name-${provider.key}`;
  card.setAttribute("aria-labelledby", `name-${provider.key}`);

  const known = {
    address: location.origin, ...provider.credentials, ...provider.push_credentials,
    ...provider.invoicing_credentials,
  };
  for (const [name, value] of Object.entries(known)) {
    find(".credentials").append(
      element("dt", { textContent: words(name) }), element("dd", {}, copyButton(value, words(name))),
    );
  }
  for (const [name, { choices }] of Object.entries(provider.settings)) {
    const select = element("select", { name }, ...choices.map((choice) => option(choice)));
    select.addEventListener("change", () => attempt(async () => {
      await ask(`settings/${provider.key}`, { [name]: select.value });
    }));
    find(".settings").append(element("label", {}, words(name), select));
  }

  const fault = find(".faults"), count = find(".fault-count");
  fault.append(option("", "None"), ...faults.map((name) => option(name)));
  labelled(fault, `Fault of ${provider.name}`);
  labelled(count, `How long the fault of ${provider.name} lasts`);
  const switchFault = () => attempt(async () => {
    await ask(`faults/${provider.key}`, {
      fault: fault.value || null, count: count.value ? Number(count.value) : null,
    });
    await look();
  });
  fault.addEventListener("change", switchFault);
  count.addEventListener("change", switchFault);

  const postback = find(".postback");
  labelled(postback.url, `Address that ${provider.name} posts back to`);
  postback.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const { target } = JSON.parse(seen.get(provider.key)).postback;
      await ask(`postbacks/${provider.key}`, { ...target, url: postback.url.value || null });
      await look();
    });
  });

  const form = find(".create");
  form.currency.append(...provider.currencies.map((name) => option(name, name)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const data = { provider: provider.key, amount: form.amount.value.replace(",", ".") };
      data.currency = form.currency.value;
      if (form.order_id.value) data.order_id = form.order_id.value;
      if (form.expires_in.value) data.expires_in = Number(form.expires_in.value);
      await ask("invoices", data);
      form.order_id.value = "";
      await look();
    });
  });
  document.getElementById("providers").append(card);
  return card;
}

function invoiceItem(invoice) {
  const paidPart = Number(invoice.received) && invoice.received !== invoice.amount;
  return element("li", {},
    element("a", {
      className: "order",
      href: new URL(invoice.payment_url).pathname,
      textContent: invoice.order_id || "(no order)",
    }),
    element("span", {
      className: "amount", textContent: `${invoice.amount} ${invoice.currency}`,
    }),
    element("span", { className: "details quiet" },
      copyButton(invoice.id, "id"),
      invoice.state === "pending" ? expiry(invoice) : "",
      paidPart ? `received ${invoice.received}` : "",
    ),
    element("span", { className: "state" }, badge(invoice)),
    element("div", { className: "actions" },
      ...invoice.actions.map((action) => actionButton(invoice, action, look)),
    ),
  );
}

function showPostback(form, { target, deliveries }) {
  const url = target?.url ?? "";
  // What is being typed stays, unless the address has changed meanwhile.
  if (form.dataset.url !== url) form.url.value = form.dataset.url = url;
  form.querySelector(".deliveries").textContent = deliveries.map(
    ({ status, seconds, error }) => status ? `${status} in ${Math.round(seconds * 1000)} ms` : error,
  ).reverse().join(" · ");
}

function show(provider, faults) {
  const before = seen.get(provider.key), now = JSON.stringify(provider);
  if (before === now) return;
  seen.set(provider.key, now);
  if (!cards.has(provider.key)) cards.set(provider.key, makeCard(provider, faults));
  const card = cards.get(provider.key);
  const find = (selector) => card.querySelector(selector);
  const asked = Object.values(provider.requests).reduce((sum, each) => sum + each, 0);
  const more = provider.invoice_count - provider.invoices.length;
  find(".count").textContent = [
    counted(provider.invoice_count, "invoice"),
    ...(more ? [`newest ${SHOWN} shown`] : []),
    counted(asked, "request"),
  ].join(" · ");
  for (const [name, { value }] of Object.entries(provider.settings)) {
    find(`.settings [name="${name}"]`).value = value;
  }
  find(".faults").value = provider.fault?.fault ?? "";
  find(".fault-left").textContent = provider.fault?.left ? `${provider.fault.left} left` : "";
  card.classList.toggle("faulty", Boolean(provider.fault));
  showPostback(find(".postback"), provider.postback);
  find(".empty").hidden = provider.invoice_count > 0;
  keepingFocus(() => find(".invoices").replaceChildren(...provider.invoices.map(invoiceItem)));
}

async function look() {
  const { providers, faults } = await ask(`state?limit=${SHOWN}`);
  for (const provider of providers) show(provider, faults);
}

lookAgain(look);
