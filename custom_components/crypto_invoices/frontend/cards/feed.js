// What the integration sends to a card: accounts and invoices, live.

import { DOMAIN } from "./texts.js";

/** Accounts and invoices as they are now. Begins anew whenever the connection does. */
export class Feed {
  accounts = [];
  /** @type {Map<string, object>} */
  rows = new Map();
  /** How far this device's clock is ahead, in milliseconds. */
  ahead = 0;
  isComplete = false;
  #attempt = 0;
  #coming;
  #stop;

  /** @param {(keys?: string[]) => void} changed gets which rows changed, nothing for all */
  constructor(connection, changed) {
    this.connection = connection;
    this.changed = changed;
    this.again = () => {
      // What was known before may be old by now.
      this.isComplete = false;
      this.open(this.wanted);
    };
    connection.addEventListener("ready", this.again);
  }

  /** Asks for one account or all, and for one order or all. */
  async open(wanted) {
    this.#leave();
    const attempt = this.#attempt;
    if (wanted.order_id !== this.wanted?.order_id) this.rows = new Map();
    this.wanted = wanted;
    this.#coming = new Map();
    try {
      const stop = await this.connection.subscribeMessage(
        (news) => attempt === this.#attempt && this.#take(news),
        { type: `${DOMAIN}/subscribe`, ...wanted },
        { resubscribe: false },
      );
      if (attempt === this.#attempt) this.#stop = stop;
      else stop().catch(() => {});
    } catch {
      // Home Assistant is starting, or the connection was lost.
      setTimeout(() => attempt === this.#attempt && this.open(wanted), 3000);
    }
  }

  close() {
    this.#leave();
    this.connection.removeEventListener("ready", this.again);
  }

  #leave() {
    this.#attempt += 1;
    this.#stop?.().catch(() => {});
    this.#stop = undefined;
  }

  #take({ accounts, version, now, invoices = [], gone = [], is_complete }) {
    const rows = this.#coming ?? this.rows;
    if (accounts) Object.assign(this, { accounts, version, ahead: Date.now() - Date.parse(now) });
    const key = (account, id) => `${account} ${id}`;
    for (const row of invoices) rows.set(key(row.account, row.id), row);
    for (const pair of gone) rows.delete(key(...pair));
    if (is_complete) {
      [this.rows, this.#coming, this.isComplete] = [rows, undefined, true];
    }
    if (this.#coming) return;
    const changed = [...invoices.map((row) => key(row.account, row.id)), ...gone.map((pair) => key(...pair))];
    this.changed(accounts || is_complete ? undefined : changed);
  }
}
