// Texts, amounts and times, as the user wants them. ``hass`` is what the frontend gives to a card.

export const DOMAIN = "crypto_invoices";
/** Which version this is: the folder that it was loaded from. */
export const VERSION = new URL(import.meta.url).pathname.split("/").at(-2);

/** Returns what the frontend has for everybody, where no card is given it. */
export const everybodys = () => document.querySelector("home-assistant")?.hass;

/** Loads our texts, and those of our errors. */
export const loadTexts = (hass) =>
  Promise.all(["common", "exceptions"].map((part) => hass.loadBackendTranslation(part, DOMAIN)));

/** Returns a text of ours; empty until it is loaded. */
export const text = (hass, key, gaps) => hass.localize(`component.${DOMAIN}.common.card_${key}`, gaps);

export const statusText = (hass, status) =>
  hass.localize(`component.${DOMAIN}.entity.sensor.status.state.${status}`) || status;

/** Returns what is said where an invoice was deleted at its provider; other problems pass. */
export const problemText = (hass, { problem }) => problem === "invoice_not_found" && statusText(hass, "not_found");

/** Returns what an error of an action says. */
export function errorText(hass, { translation_domain, translation_key, translation_placeholders, message }) {
  const key = `component.${translation_domain}.exceptions.${translation_key}.message`;
  const words = translation_key && hass.localize(key, translation_placeholders);
  return words || message || hass.localize("ui.common.unknown_error");
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

function numbers({ locale: { number_format, language } }, options) {
  const wanted = number_format in LANGUAGES ? LANGUAGES[number_format] : language;
  return new Intl.NumberFormat(wanted, { useGrouping: number_format !== "none", ...options });
}

/** Returns how many decimals a currency may have. */
export function decimals(currency) {
  if (!CODES.has(currency)) return currency === "SAT" ? 0 : 8;
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

/** Returns an exact amount, written as the user writes money. */
export function money(hass, amount, currency) {
  const isMoney = CODES.has(currency);
  const digits = Math.min(20, Math.max(isMoney ? decimals(currency) : 0, amount.split(".")[1]?.length ?? 0));
  const style = isMoney && { style: "currency", currency };
  const written = numbers(hass, { ...style, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(amount);
  return isMoney ? written : `${written} ${currency}`;
}

/** Returns what stands before the decimals. */
export const point = (hass) => numbers(hass).formatToParts(1.5).find((part) => part.type === "decimal").value;

/** Adds amounts exactly: they are texts, and so is the sum. */
export function add(amounts) {
  const parts = amounts.map((amount) => amount.split("."));
  const places = Math.max(0, ...parts.map(([, part = ""]) => part.length));
  const exact = parts.map(([whole, part = ""]) => BigInt(whole + part.padEnd(places, "0")));
  const digits = String(exact.reduce((sum, each) => sum + each, 0n)).padStart(places + 1, "0");
  return places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
}

const UNITS = Object.entries({ year: 31536e3, month: 2592e3, day: 86400, hour: 3600, minute: 60 });

/** Returns how long ago something was. */
export function age(hass, moment) {
  const seconds = Math.max(0, Date.now() - Date.parse(moment)) / 1000;
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? UNITS.at(-1);
  const words = new Intl.RelativeTimeFormat(hass.locale.language, { numeric: "auto", style: "short" });
  return words.format(-Math.floor(seconds / length), unit);
}

/** Returns seconds as a clock shows them. */
export function clock(seconds) {
  const parts = seconds < 3600 ? [seconds / 60, seconds % 60] : [seconds / 3600, (seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}
