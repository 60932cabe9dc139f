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
  #coming;
  #leave = () => {};

  /** ``changed`` is called with the keys of the rows that did, with nothing for all. */
  constructor(connection, changed) {
    Object.assign(this, { connection, changed });
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
    let isLeft = false;
    let stop;
    this.#leave = () => {
      isLeft = true;
      stop?.().catch(() => {});
    };
    if (wanted.order_id !== this.wanted?.order_id) this.rows = new Map();
    this.wanted = wanted;
    this.#coming = new Map();
    const take = (news) => isLeft || this.#take(news);
    const asked = { type: `${DOMAIN}/subscribe`, ...wanted };
    try {
      stop = await this.connection.subscribeMessage(take, asked, { resubscribe: false });
      if (isLeft) stop().catch(() => {});
    } catch {
      // Home Assistant is starting, or the connection was lost.
      setTimeout(() => isLeft || this.open(wanted), 3000);
    }
  }

  close() {
    this.#leave();
    this.connection.removeEventListener("ready", this.again);
  }

  #take({ accounts, version, now, invoices = [], gone = [], is_complete }) {
    const rows = this.#coming ?? this.rows;
    if (accounts) Object.assign(this, { accounts, version, ahead: Date.now() - Date.parse(now) });
    const changed = new Map([
      ...invoices.map((row) => [`${row.account} ${row.id}`, row]),
      ...gone.map(([account, id]) => [`${account} ${id}`, undefined]),
    ]);
    changed.forEach((row, key) => (row ? rows.set(key, row) : rows.delete(key)));
    if (is_complete) [this.rows, this.#coming, this.isComplete] = [rows, undefined, true];
    if (!this.#coming) this.changed(accounts || is_complete ? undefined : [...changed.keys()]);
  }
}
