// Texts, amounts and times, as the user wants them.

/** @typedef {object} Hass what Home Assistant's frontend gives to every card */

export const DOMAIN = "crypto_invoices";
/** Which version this is: the folder that it was loaded from. */
export const VERSION = new URL(import.meta.url).pathname.split("/").at(-2);

/** What the frontend has for everybody. @returns {Hass} */
export const hass = () => document.querySelector("home-assistant")?.hass;

/** Loads our texts, and those of our errors. @param {Hass} hass */
export const loadTexts = (hass) =>
  Promise.all(["common", "exceptions"].map((part) => hass.loadBackendTranslation(part, DOMAIN)));

/** Returns a text of ours; empty until it is loaded. @param {Hass} hass */
export const text = (hass, key, gaps) => hass.localize(`component.${DOMAIN}.common.card_${key}`, gaps);

/** Returns what a status is called. @param {Hass} hass */
export const statusText = (hass, status) =>
  hass.localize(`component.${DOMAIN}.entity.sensor.status.state.${status}`) || status;

/** Returns what an error of an action says. @param {Hass} hass */
export function errorText(hass, error) {
  const key = `component.${error.translation_domain}.exceptions.${error.translation_key}.message`;
  const words = error.translation_key && hass.localize(key, error.translation_placeholders);
  return words || error.message || hass.localize("ui.common.unknown_error");
}

const LANGUAGES = {
  comma_decimal: "en-US",
  decimal_comma: "de",
  space_comma: "fr",
  quote_decimal: "de-CH",
  none: "en-US",
  system: undefined,
};
const CODES = new Set(Intl.supportedValuesOf?.("currency"));
const made = new Map();

/** Makes what writes numbers or times, once. */
function format(kind, language, options) {
  const key = JSON.stringify([kind, language, options]);
  if (!made.has(key)) made.set(key, new Intl[kind](language, options));
  return made.get(key);
}

function numbers({ locale }, options) {
  const wanted = locale.number_format;
  const language = wanted in LANGUAGES ? LANGUAGES[wanted] : locale.language;
  return format("NumberFormat", language, { useGrouping: wanted !== "none", ...options });
}

/** Returns how many decimals a currency may have. */
export function decimals(currency) {
  if (!CODES.has(currency)) return currency === "SAT" ? 0 : 8;
  const usual = format("NumberFormat", "en", { style: "currency", currency });
  return usual.resolvedOptions().maximumFractionDigits;
}

/** Returns an exact amount, written as the user writes money. @param {Hass} hass */
export function money(hass, amount, currency) {
  const isMoney = CODES.has(currency);
  const least = isMoney ? decimals(currency) : 0;
  const digits = Math.min(20, Math.max(least, amount.split(".")[1]?.length ?? 0));
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  if (isMoney) return numbers(hass, { style: "currency", currency, ...options }).format(amount);
  return `${numbers(hass, options).format(amount)} ${currency}`;
}

/** Returns what stands before the decimals. @param {Hass} hass */
export const point = (hass) =>
  numbers(hass)
    .formatToParts(1.5)
    .find((part) => part.type === "decimal").value;

/** Adds amounts exactly. @param {string[]} amounts */
export function add(amounts) {
  const parts = amounts.map((amount) => amount.split("."));
  const places = parts.reduce((most, [, part = ""]) => Math.max(most, part.length), 0);
  const exact = ([whole, part = ""]) => BigInt(whole + part.padEnd(places, "0"));
  const sum = String(parts.reduce((total, each) => total + exact(each), 0n));
  const digits = sum.padStart(places + 1, "0");
  return places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
}

const UNITS = Object.entries({ year: 31536e3, month: 2592e3, day: 86400, hour: 3600, minute: 60 });

/** Returns how long ago something was. @param {Hass} hass */
export function age(hass, moment) {
  const seconds = Math.max(0, Date.now() - Date.parse(moment)) / 1000;
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? UNITS.at(-1);
  const options = { numeric: "auto", style: "short" };
  const words = format("RelativeTimeFormat", hass.locale.language, options);
  return words.format(-Math.floor(seconds / length), unit);
}

/** Returns seconds as a clock shows them. */
export function clock(seconds) {
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) =>
    String(Math.floor(part)).padStart(2, "0"),
  );
  return parts.slice(seconds < 3600 ? 1 : 0).join(":");
}
