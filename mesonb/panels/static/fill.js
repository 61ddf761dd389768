// Code that goes into a cell: asked of the JupyterLab extension, which listens in the page around a chart, or in the board's own.
// Charts and boards both have this (mesonb/panels/app.py, mesonb/panels/module.py).

const FILL_WITHIN_MS = 500;

/** Put code into a cell of the notebook around, if anything there answers; else onto the clipboard. Resolves to what was done. */
async function putIntoCell(code) {
  if (await answered(code)) return "it stands in a new cell";
  return (await copied(code)) ? "copied: paste it into a cell" : "select it, and copy it into a cell";
}

function answered(code) {
  return new Promise((resolve) => {
    const id = `${Date.now()}-${Math.random()}`;
    const hear = ({ source, data }) => { if (source === window.parent && data?.mesonb === "filled" && data.id === id) settle(true); };
    const settle = (done) => { window.removeEventListener("message", hear); resolve(done); };
    window.addEventListener("message", hear);
    window.parent.postMessage({ mesonb: "fill", id, code }, location.origin);
    setTimeout(settle, FILL_WITHIN_MS, false);
  });
}

async function copied(code) {
  try {
    await navigator.clipboard.writeText(code);
    return true;
  } catch { /* no secure page, or not allowed: the old way */ }
  const box = Object.assign(document.createElement("textarea"), { value: code });
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
}
