// What a page looks like to its style engine: of every element the computed values of all properties that any
// sheet or style attribute sets, and of those that lay out a page. The 1x1 image and the hidden link are left out.
// A property that nothing sets has the same value before and after.
({
  every: () => [...getComputedStyle(document.documentElement)],
  declared: () => {
    const found = new Set();
    const add = style => { if (style) for (const name of style) found.add(name); };
    const walk = rules => { for (const rule of rules) { add(rule.style); if (rule.cssRules) walk(rule.cssRules); } };
    for (const sheet of document.styleSheets) { try { walk(sheet.cssRules); } catch { /* of another host */ } }
    for (const element of document.querySelectorAll('[style]')) add(element.style);
    return [...found];
  },
  capture: ({ names, pixel, honey }) => {
    const ours = element => element.src === pixel || (honey && element.href === honey);
    const elements = [...document.querySelectorAll('*')].filter(element => !ours(element));
    const known = new Map(), index = [];
    for (const element of elements) {
      const style = getComputedStyle(element);
      const { x, y, width, height } = element.getBoundingClientRect();
      const text = [element.localName, [x, y, width, height].join(' '),
        ...names.map(name => style.getPropertyValue(name))].join('\n');
      if (!known.has(text)) known.set(text, known.size);
      index.push(known.get(text));
    }
    return { known: [...known.keys()], index,
      links: [...document.querySelectorAll('a[href], area[href]')]
        .filter(link => !ours(link)).map(link => link.href),
      images: [...document.images].filter(image => image.src !== pixel).map(image => image.currentSrc) };
  } })
