// What both pages need: asking the sandbox, building elements, looking again.

const notice = document.getElementById("notice");

export async function ask(path, body) {
  const response = await fetch(`/_sandbox/${path}`, body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `Error ${response.status}`);
  return answer;
}

// A look that went well must not wipe away what went wrong with an action, nor the reverse.
export async function attempt(work, kind = "action") {
  try {
    await work();
    if (notice.dataset.kind === kind) notice.hidden = true;
  } catch (error) {
    notice.dataset.kind = kind;
    notice.textContent =
      error instanceof TypeError ? "The sandbox doesn’t answer. Is it running?" : error.message;
    notice.hidden = false;
  }
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function labelled(made, label) {
  made.setAttribute("aria-label", label);
  return made;
}

export function copyButton(text, label) {
  const button = element("button", { type: "button", className: "copy", textContent: text });
  button.addEventListener("click", () => attempt(async () => {
    await navigator.clipboard.writeText(text);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  }));
  return labelled(button, `Copy ${label} ${text}`);
}

export function badge(invoice) {
  return element("span", {
    className: `badge ${invoice.state}`,
    textContent: words(invoice.state),
    title: `The provider says “${invoice.provider_status}”`,
  });
}

export function actionButton(invoice, { action, label }, done) {
  const className = { pay: "primary", delete: "danger" }[action] ?? "";
  const button = element("button", { type: "button", className, textContent: label });
  button.dataset.key = `${invoice.id} ${action}`;
  button.addEventListener("click", () => attempt(async () => {
    await ask(`invoices/${invoice.provider}/${encodeURIComponent(invoice.id)}`, { action });
    await done();
  }));
  return labelled(button, `${label}: ${invoice.order_id || invoice.id}`);
}

export function words(name) {
  const text = name.replaceAll("_", " ").replace(/\b(api|html|uuid)\b/, (word) => word.toUpperCase());
  return text[0].toUpperCase() + text.slice(1);
}

export function expiry(invoice) {
  const when = new Date(invoice.expires_at);
  const sameDay = when.toDateString() === new Date().toDateString();
  const text = when.toLocaleString([], sameDay
    ? { timeStyle: "short" }
    : { dateStyle: "medium", timeStyle: "short" });
  return `${when > new Date() ? "expires" : "expired"} ${text}`;
}

// Keeps the keyboard where it was although the button under it is a new one.
export function keepingFocus(change) {
  const key = document.activeElement?.dataset?.key;
  change();
  if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

export function lookAgain(look) {
  const visibly = () => document.hidden || attempt(look, "look");
  setInterval(visibly, 2000);
  addEventListener("focus", visibly);
  return attempt(look, "look");
}
