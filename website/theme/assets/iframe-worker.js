// The search of the theme is a web worker, and browsers start none for pages from a folder (file://). There, its
// script runs in a hidden frame instead. The theme looks for the name IFrameWorker to find the worker's own files.
class IFrameWorker extends EventTarget {
  #frame = document.createElement("iframe");
  #started;

  constructor(url) {
    super();
    this.#frame.hidden = true;
    this.#frame.title = "search";
    document.body.append(this.#frame);
    const inside = this.#frame.contentWindow;
    inside.document.open(); // without it, Firefox replaces the empty document later
    inside.document.write("<!doctype html><html lang=en><title>search</title><body></body>");
    inside.document.close();
    inside.postMessage = (data) =>
      this.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) }));
    inside.importScripts = async (...urls) => {
      for (const one of urls) await this.#load(one);
    };
    this.#started = this.#load(url);
  }

  #load(url) {
    return new Promise((resolve, reject) => {
      const script = this.#frame.contentDocument.createElement("script");
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${url}`));
      script.src = url;
      this.#frame.contentDocument.body.append(script);
    });
  }

  async postMessage(data) {
    await this.#started;
    const inside = this.#frame.contentWindow;
    inside.dispatchEvent(new inside.MessageEvent("message", { data: structuredClone(data) }));
  }

  terminate() {
    this.#frame.remove();
  }
}

if (location.protocol === "file:") window.Worker = window.IFrameWorker = IFrameWorker;
