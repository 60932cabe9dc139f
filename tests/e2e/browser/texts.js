// Returns the texts that are visible below an element, each with what cuts it off, if anything.
(root) => {
  const INLINE = new Set(["A", "B", "BR", "CODE", "EM", "I", "SPAN", "STRONG"]);
  const TOLERANCE = 1.5;

  const parentOf = (element) =>
    element.assignedSlot || element.parentElement || element.getRootNode().host;

  const ownText = (element) =>
    [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "",
    );

  // Where the text itself is, not its element: an element may be as small as it likes.
  const boxOf = (element) => {
    const range = document.createRange();
    const boxes = [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE || INLINE.has(node.tagName))
      .flatMap((node) => (range.selectNodeContents(node), [...range.getClientRects()]))
      .filter(({ width, height }) => width && height);
    if (!boxes.length) return null;
    return {
      left: Math.min(...boxes.map(({ left }) => left)),
      right: Math.max(...boxes.map(({ right }) => right)),
      top: Math.min(...boxes.map(({ top }) => top)),
      bottom: Math.max(...boxes.map(({ bottom }) => bottom)),
    };
  };

  const name = (element) => element.tagName.toLowerCase();

  // Returns what cuts a text off, "" if nothing does, null if it is not there to be seen.
  const cutBy = (element, box) => {
    let cut = "";
    for (let up = element; up; up = parentOf(up)) {
      const style = getComputedStyle(up);
      if (style.visibility === "hidden" || style.opacity === "0") return null;
      const { left, right, top, bottom, width, height } = up.getBoundingClientRect();
      const [x, y] = [style.overflowX, style.overflowY];
      if (x === "visible" && y === "visible") continue;
      // For screen readers only, or folded up.
      if (width <= 1 || height <= 1) return null;
      const wide = box.left < left - TOLERANCE || box.right > right + TOLERANCE;
      const high = box.top < top - TOLERANCE || box.bottom > bottom + TOLERANCE;
      if (wide && x !== "visible") cut ||= `${name(up)}, to the side`;
      // What can be scrolled to can be read.
      if (high && (y === "hidden" || y === "clip")) cut ||= `${name(up)}, above or below`;
      if (y === "auto" || y === "scroll") break;
    }
    const outside = box.left < -TOLERANCE || box.right > innerWidth + TOLERANCE;
    return cut || (outside ? "the screen" : "");
  };

  const found = [];
  const visit = (element) => {
    if (["STYLE", "SCRIPT", "TEMPLATE"].includes(element.tagName)) return;
    if (ownText(element)) {
      const box = boxOf(element);
      const cut = box && cutBy(element, box);
      if (box && cut !== null) {
        const code = [...element.querySelectorAll("code")].map(({ textContent }) => textContent);
        const text = [...element.childNodes]
          .filter((node) => node.nodeType === Node.TEXT_NODE || INLINE.has(node.tagName))
          .map(({ textContent }) => textContent)
          .join("");
        found.push({ text: text.replace(/\s+/g, " ").trim(), cut, code });
      }
      for (const child of element.children) if (!INLINE.has(child.tagName)) visit(child);
    } else {
      for (const child of element.children) visit(child);
    }
    if (element.shadowRoot) for (const child of element.shadowRoot.children) visit(child);
  };

  // What a new size of the screen changes is drawn with the next frames.
  return new Promise((done) =>
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        visit(root);
        done(found);
      }),
    ),
  );
}
