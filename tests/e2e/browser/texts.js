// Returns the texts that are visible below an element, each with what cuts it off, if anything,
// and with the text that it lies over.
async (root) => {
  const INLINE = new Set(["A", "B", "BR", "CODE", "EM", "I", "SPAN", "STRONG"]);
  const TOLERANCE = 1.5;
  // Above and below its letters, a line has room that may be missing.
  const LEADING = 6;

  const parentOf = (element) =>
    element.assignedSlot || element.parentElement || element.getRootNode().host;

  const ownText = (element) =>
    [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "",
    );

  // Where the text itself is, not its element: an element may be as small as it likes.
  const boxesOf = (element) => {
    const range = document.createRange();
    return [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE || INLINE.has(node.tagName))
      .flatMap((node) => (range.selectNodeContents(node), [...range.getClientRects()]))
      .filter(({ width, height }) => width && height);
  };

  const name = (element) => element.tagName.toLowerCase();

  const common = (one, other) => ({
    left: Math.max(one.left, other.left),
    right: Math.min(one.right, other.right),
    top: Math.max(one.top, other.top),
    bottom: Math.min(one.bottom, other.bottom),
  });
  const isThere = ({ left, right, top, bottom }) =>
    right - left > 2 * TOLERANCE && bottom - top > 2 * TOLERANCE;

  // Returns where a text can be seen and what cuts it off; null if it is not there to be seen.
  const seenOf = (element, boxes) => {
    let cut = "";
    let seen = boxes;
    for (let up = element; up; up = parentOf(up)) {
      const style = getComputedStyle(up);
      if (style.visibility === "hidden" || style.opacity === "0") return null;
      const box = up.getBoundingClientRect();
      const [x, y] = [style.overflowX, style.overflowY];
      if (x === "visible" && y === "visible") continue;
      // For screen readers only, or folded up.
      if (box.width <= 1 || box.height <= 1) return null;
      // What can be scrolled to can be read.
      if (["auto", "scroll"].includes(y)) {
        seen = seen.map((each) => common(each, { ...box.toJSON(), left: 0, right: innerWidth }));
        seen = seen.filter(isThere);
      }
      for (const each of seen) {
        const wide = each.left < box.left - TOLERANCE || each.right > box.right + TOLERANCE;
        const high = each.top < box.top - LEADING || each.bottom > box.bottom + LEADING;
        if (wide && x !== "visible") cut ||= `${name(up)}, to the side`;
        if (high && ["hidden", "clip"].includes(y)) cut ||= `${name(up)}, above or below`;
      }
    }
    const outside = ({ left, right }) => left < -TOLERANCE || right > innerWidth + TOLERANCE;
    if (seen.some(outside)) cut ||= "the screen";
    return { seen, cut };
  };

  const found = [];
  const visit = (element) => {
    if (["STYLE", "SCRIPT", "TEMPLATE"].includes(element.tagName)) return;
    if (ownText(element)) {
      const boxes = boxesOf(element);
      const looked = boxes.length ? seenOf(element, boxes) : null;
      if (looked) {
        const code = [element, ...element.querySelectorAll("*")]
          .filter(({ tagName }) => tagName === "CODE")
          .map(({ textContent }) => textContent);
        const text = [...element.childNodes]
          .filter((node) => node.nodeType === Node.TEXT_NODE || INLINE.has(node.tagName))
          .map(({ textContent }) => textContent)
          .join("");
        found.push({ text: text.replace(/\s+/g, " ").trim(), code, ...looked });
      }
      for (const child of element.children) if (!INLINE.has(child.tagName)) visit(child);
    } else {
      for (const child of element.children) visit(child);
    }
    if (element.shadowRoot) for (const child of element.shadowRoot.children) visit(child);
  };

  const rootsBelow = (element) => [
    ...(element.shadowRoot ? [element.shadowRoot] : []),
    ...[...element.children, ...(element.shadowRoot?.children ?? [])].flatMap(rootsBelow),
  ];
  const moving = () =>
    [document, ...rootsBelow(root)]
      .flatMap((each) => each.getAnimations())
      .filter(({ effect, playState }) =>
        playState === "running" && effect.getComputedTiming().iterations !== Infinity);
  const frame = () => new Promise(requestAnimationFrame);

  // What a click or a new size of the screen changes is drawn with the next frames, and may move.
  do {
    await frame();
    await frame();
    await Promise.allSettled(moving().map(({ finished }) => finished));
  } while (moving().length);

  visit(root);
  for (const one of found) {
    const under = found.find(
      (other) =>
        other !== one &&
        one.seen.some((here) => other.seen.some((there) => isThere(common(here, there)))),
    );
    one.over = under?.text ?? "";
  }
  return found;
}
