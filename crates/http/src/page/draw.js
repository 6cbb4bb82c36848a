/* ── `h` describes nodes, `patchKids` makes the page look like the description ───────────────────────────────────
   The page is described again after every change, and only differences are applied. Focus, a half-written message, the
   caret and scroll positions thus survive a refresh each second. A property is set when its description changes, never
   because the person changed it. */

const SVG = 'http://www.w3.org/2000/svg';
let afterwards = []; // callbacks that run after the new nodes are in the document

function h(tag, props, ...kids) {
  const shown = kids.flat(9).filter(kid => kid !== null && kid !== undefined && kid !== false && kid !== '');
  return { tag, props: props || {}, kids: shown.map(kid => typeof kid === 'object' ? kid : { tag: '#', text: String(kid) }) };
}

function make(node, inSvg) {
  if (node.tag === '#') return node.el = document.createTextNode(node.text);
  const svg = inSvg || node.tag === 'svg';
  const el = node.el = svg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  patchKids(el, [], node.kids, svg);
  patchProps(el, {}, node.props); // after the children: a select's value needs its options
  if (node.props.created) afterwards.push(() => node.props.created(el));
  return el;
}

function patchProps(el, old, props) {
  for (const name of new Set([...Object.keys(old), ...Object.keys(props)])) {
    const value = props[name];
    if (old[name] === value || name === 'key' || name === 'created') continue;
    if (name.startsWith('on')) {
      const type = name.slice(2);
      const heard = el.$heard ??= {};
      if (!(type in heard)) el.addEventListener(type, event => heard[type]?.(event));
      heard[type] = value;
    } else if (name === 'hue') el.style.setProperty('--hue', value); // through CSSOM: the policy forbids style attributes
    else if (name === 'value' || name === 'checked') el[name] = value ?? (name === 'value' ? '' : false);
    else if (value === undefined || value === null || value === false) el.removeAttribute(name);
    else el.setAttribute(name, value === true ? '' : value);
  }
}

function patchKids(el, old, kids, svg) {
  const keyed = new Map();
  const loose = [];
  for (const node of old) node.props?.key === undefined ? loose.push(node) : keyed.set(node.props.key, node);
  const gone = new Set(old);
  let next = 0;
  for (const node of kids) {
    const key = node.props?.key;
    let was = keyed.get(key);
    if (key === undefined) {
      const at = loose.findIndex((one, n) => n >= next && one.tag === node.tag);
      if (at >= 0) { was = loose[at]; next = at + 1; }
    }
    if (!was || was.tag !== node.tag || !gone.delete(was)) { make(node, svg); continue; }
    node.el = was.el;
    if (was === node) continue;
    if (node.tag === '#') { if (was.text !== node.text) node.el.data = node.text; continue; }
    patchKids(node.el, was.kids, node.kids, svg || node.tag === 'svg');
    patchProps(node.el, was.props, node.props);
  }
  for (const node of gone) {
    if (node.tag === 'dialog') node.el.close(); // returns the focus to the previous element
    node.el.remove();
  }
  let place = el.firstChild;
  for (const node of kids) {
    if (node.el === place) place = place.nextSibling;
    else el.insertBefore(node.el, place);
  }
}

/** Returns `draw`, which renders `describe()` once per batch of changes. `then` runs after it. */
function drawer(describe, then) {
  const root = document.getElementById('app');
  let shown = [];
  let drawing = false;
  return () => {
    if (drawing) return;
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      const described = h('', null, describe()).kids;
      patchKids(root, shown, described);
      shown = described;
      const waiting = afterwards;
      afterwards = [];
      for (const run of waiting) run();
      then?.();
    });
  };
}

/* ── An agent looks the same on every page ───────────────────────────────────────────────────────────────────────── */

const hue = word => ([...String(word)].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 65_521, 7) * 137.508) % 360; // the golden angle keeps neighbours apart
function initials(name) {
  const words = String(name).trim().split(/[\s_-]+/).filter(Boolean);
  return (words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...(words[0] ?? '?')].slice(0, 2).join('')).toUpperCase();
}
