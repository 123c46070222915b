// Hides how numbers and times are put for people; the same words as the command line has.

export const UNKNOWN = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** 0.4ms 12ms 1.85s 42.0s 3m05s 2h03m 4d05h */
export function duration(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  if (ms < 999.5) return `${ms.toFixed(0)}ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)}s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (count) => String(count).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d${two(Math.floor((whole % 86400) / 3600))}h`;
}

export const seconds = (count) => duration(isNumber(count) ? count * 1000 : null);

/** 850 12.4k 1.2M */
export function count(number) {
  if (!isNumber(number)) return UNKNOWN;
  if (number < 1000) return String(Math.round(number));
  for (const [unit, name] of [[1e3, "k"], [1e6, "M"], [1e9, "G"]]) {
    const value = number / unit;
    if (value < 999.95 || name === "G") return `${value.toFixed(value >= 99.95 ? 0 : 1)}${name}`;
  }
  return UNKNOWN;
}

/** $0 $0.0002 $0.023 $1.85 $1,204.10; unknown is not 0. */
export function usd(amount, partly = false) {
  if (!isNumber(amount)) return UNKNOWN;
  const more = partly ? "+" : "";
  if (amount === 0) return `$0${more}`;
  if (amount > 0 && amount < 0.00005) return `<$0.0001${more}`;
  const digits = Math.abs(amount) < 0.01 ? 4 : Math.abs(amount) < 1 ? 3 : 2;
  return `$${amount.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}${more}`;
}

export const percent = (share) => (isNumber(share) ? `${(share * 100).toFixed(share === 1 || share === 0 ? 0 : 1)}%` : UNKNOWN);

/** Milliseconds since 1970 of a line's time; NaN if it is none. Dates know three decimals of nine. */
export function time(text) {
  return typeof text === "string" ? Date.parse(text.replace(/(\.\d{3})\d+/, "$1")) : NaN;
}

export function clock(ms, fine = false) {
  if (!isNumber(ms)) return UNKNOWN;
  const date = new Date(ms);
  const text = date.toLocaleTimeString("en-GB", { hour12: false });
  return fine ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

export function moment(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  return new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** "just now", "3 min ago", "yesterday 14:02", "12 Oct". */
export function ago(ms, now = Date.now()) {
  if (!isNumber(ms)) return UNKNOWN;
  const passed = (now - ms) / 1000;
  if (passed < 10) return "just now";
  if (passed < 60) return `${Math.floor(passed)}s ago`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: passed > 3e7 ? "numeric" : undefined });
}

export const words = (state) => String(state ?? UNKNOWN).replaceAll("_", " ");

export const plural = (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;

const KINDS = { ai_call: "ai", tool_run: "tool", subtask: "sub", queue_push: "push", queue_pickup: "pickup", segment: "proc", webhook: "hook" };
export const kind = (name) => KINDS[name] ?? name;
