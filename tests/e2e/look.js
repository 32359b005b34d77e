// What the tests ask of a page: everything that is on it, through all shadow roots.

window.look = (() => {
  const shown = (node) => node.checkVisibility?.({ visibilityProperty: true, opacityProperty: true }) ?? true;

  /** Yield the elements below a node, as they are drawn. */
  function* walk(node) {
    for (const child of node.shadowRoot ? [node.shadowRoot, ...node.children] : node.children) {
      if (child instanceof Element) yield child;
      yield* walk(child);
    }
  }

  const all = (names, root = document.body) =>
    [...walk(root)].filter((node) => names.includes(node.localName));
  const text = (node) => node.textContent.trim();
  const view = () => all(["hui-view"])[0];

  /** Return what is still missing on a view of the dashboard, or "" once every card is drawn. */
  function undrawn(path) {
    const [root] = all(["hui-root"]);
    const config = root?.lovelace?.config.views.find((one) => one.path === path);
    if (!config || !location.pathname.endsWith(`/${path}`)) return "the view";
    if (view()?.index !== root.lovelace.config.views.indexOf(config)) return "the view";
    const wanted = config.sections.flatMap((section) => section.cards);
    const cards = all(["hui-card"], view());
    if (cards.length < wanted.length) return `${cards.length} of ${wanted.length} cards`;
    const empty = cards.filter((card) => shown(card) && !card.querySelector("*")?.shadowRoot?.childElementCount);
    return empty.map((card) => card.config?.type).join();
  }

  const ERRORS = ["hui-error-card", "hui-warning", "hui-error-badge", "hui-error-heading-badge"];
  const WORDS = /Configuration error|Entity not found|Unknown card type|Timeout waiting for strategy|undefined|\[object|\bNaN\b/;

  /** Return everything that must not be on a page. */
  function problems() {
    const found = [];
    for (const node of walk(document.body)) {
      if (ERRORS.includes(node.localName)) found.push(`${node.localName}: ${text(node.shadowRoot ?? node)}`);
      if (["style", "script"].includes(node.localName)) continue;
      for (const part of node.childNodes) {
        const word = part.nodeType === Node.TEXT_NODE && WORDS.test(part.data) && shown(node);
        if (word) found.push(`${node.localName}: ${part.data.trim()}`);
      }
    }
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide > 0) found.push(`the page is ${wide} px wider than the screen`);
    return found;
  }

  /** Return what each visible tile says: [key, text], such as ["sensor.power", "Power\n3,300 W"]. */
  function tiles() {
    const { entities } = document.querySelector("home-assistant").hass;
    return all(["hui-tile-card"], view()).filter(shown).map((tile) => {
      const id = tile._config.entity;
      return [`${id.split(".")[0]}.${entities[id].translation_key}`, all(["ha-tile-info"], tile)[0].innerText];
    });
  }

  /** Generate the dashboard, and return the entities in it that have no state. */
  async function strangers() {
    const { hass } = document.querySelector("home-assistant");
    const config = await customElements.get("ll-strategy-dashboard-whatsminer").generate({}, hass);
    const ids = JSON.stringify(config).matchAll(/"(?:entity|entity_id)":"([a-z_]+\.\w+)"/g);
    return [...ids].map(([, id]) => id).filter((id) => !hass.states[id]);
  }

  /** Return the sums of money of all miners, and what the totals say. */
  function money() {
    const { entities, states } = document.querySelector("home-assistant").hass;
    const keys = ["cost_per_hour", "revenue_per_hour", "margin_per_hour"];
    const ours = Object.values(entities).filter((entity) => entity.platform === "whatsminer");
    const sum = (key) =>
      ours
        .filter((entity) => entity.translation_key === key)
        .map((entity) => Number(states[entity.entity_id]?.state))
        .reduce((all, one) => all + one, 0);
    const [totals] = all(["whatsminer-totals"]);
    const cell = (key) => totals.shadowRoot.querySelector(`[data-key="${key}"] .value`).textContent;
    return [keys.map(sum), keys.map((key) => cell(key).trim().split(/\s/)[0])];
  }

  // Contrast

  const above = (node) => node.assignedSlot ?? (node.parentNode instanceof ShadowRoot ? node.parentNode.host : node.parentNode);
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const colors = new Map();

  /** Return a color as red, green, blue (0 to 255) and opacity. */
  function rgba(color) {
    if (!colors.has(color)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = color;
      pixel.fillRect(0, 0, 1, 1);
      const [red, green, blue, opacity] = pixel.getImageData(0, 0, 1, 1).data;
      colors.set(color, [red, green, blue, opacity / 255]);
    }
    return colors.get(color);
  }

  const over = (top, below) => [0, 1, 2].map((part) => top[part] * top[3] + below[part] * (1 - top[3]));

  function luminance(color) {
    const [red, green, blue] = color.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function ratio(one, other) {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  /** Return the text and the background of an element as they are drawn. */
  function drawnColors(element) {
    const layers = [];
    let opacity = 1;
    for (let node = element; node instanceof Element; node = above(node)) {
      const style = getComputedStyle(node);
      opacity *= Number(style.opacity);
      const layer = rgba(style.backgroundColor);
      if (layer[3]) layers.push(layer);
      if (layer[3] === 1) break;
    }
    const back = layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    const [red, green, blue, own] = rgba(getComputedStyle(element).color);
    return [over([red, green, blue, own * opacity], back), back];
  }

  /** Return the texts that are harder to read than WCAG's level AA allows, and how many there are in all. */
  function contrast() {
    const poor = new Set();
    let count = 0;
    for (const node of walk(view())) {
      if (["style", "script"].includes(node.localName)) continue;
      if (![...node.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.data.trim())) continue;
      if (!shown(node) || node.closest("[disabled]")) continue;
      count += 1;
      const { fontSize, fontWeight } = getComputedStyle(node);
      const large = parseFloat(fontSize) >= (Number(fontWeight) >= 700 ? 18.66 : 24);
      const found = ratio(...drawnColors(node));
      if (found < (large ? 3 : 4.5)) {
        const host = node.getRootNode().host?.localName;
        poor.add(`${host} ${node.localName}.${node.className} "${text(node).slice(0, 30)}" ${found.toFixed(2)}`);
      }
    }
    return { count, poor: [...poor] };
  }

  /** Return the element that has the focus, as the card that it is in and its role. */
  function focused() {
    let node = document.activeElement;
    while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
    let card = node;
    while (card && card.localName !== "hui-card") card = above(card);
    const label = node?.getAttribute("aria-label") ?? node?.getAttribute("role") ?? node?.localName;
    const { outlineStyle, boxShadow } = node ? getComputedStyle(node) : {};
    return card ? { entity: card.config.entity ?? card.config.type, label, seen: node.matches(":focus-visible"), outlineStyle, boxShadow } : null;
  }

  return { undrawn, problems, tiles, strangers, money, contrast, focused };
})();
