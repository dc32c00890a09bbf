// Drawing: images on canvases, the board under the pointer, and lines of a chart.

const SIDE = 28; // pixels of a drawing, as those of MNIST

/** Decodes an image of the server: {shape: [height, width, channels], pixels: base64}. */
export function toImageData({ shape: [height, width, channels], pixels }) {
  const bytes = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
  const image = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    for (let colour = 0; colour < 3; colour++) {
      image.data[4 * place + colour] = bytes[channels * place + Math.min(colour, channels - 1)];
    }
    image.data[4 * place + 3] = 255;
  }
  return image;
}

/** Encodes an image for the server, with one channel where it has no colour. */
export function fromImageData({ width, height, data }) {
  let grey = true;
  for (let place = 0; grey && place < data.length; place += 4) {
    grey = data[place] === data[place + 1] && data[place] === data[place + 2];
  }
  const channels = grey ? 1 : 3;
  const bytes = new Uint8Array(width * height * channels);
  for (let place = 0; place < width * height; place++) {
    for (let colour = 0; colour < channels; colour++) {
      bytes[channels * place + colour] = data[4 * place + colour];
    }
  }
  let text = "";
  for (let start = 0; start < bytes.length; start += 4096) {
    text += String.fromCharCode(...bytes.subarray(start, start + 4096));
  }
  return { shape: [height, width, channels], pixels: btoa(text) };
}

/** Shows an image of the server on a canvas of its own size. */
export function show(canvas, encoded) {
  const image = toImageData(encoded);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Shows an image four times as large, to draw lines over it; returns the context and its size. */
export function showLarge(canvas, encoded) {
  const small = document.createElement("canvas");
  show(small, encoded);
  canvas.width = 4 * small.width;
  canvas.height = 4 * small.height;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return context;
}

const COLOURS = ["#ffb000", "#4cc9f0", "#f72585", "#90e0a0"];

/** Draws frames, of four corners (x, y) in [-1, 1] each, over an image. */
export function showFrames(canvas, encoded, frames) {
  const context = showLarge(canvas, encoded);
  context.lineWidth = 3;
  frames.forEach((corners, number) => {
    context.strokeStyle = COLOURS[number % COLOURS.length];
    context.beginPath();
    for (const [x, y] of corners) {
      context.lineTo(((x + 1) / 2) * canvas.width, ((y + 1) / 2) * canvas.height);
    }
    context.closePath();
    context.stroke();
  });
}

/** Lays couplings over an image: the stronger the yellow, the more goes to the winning class. */
export function showCouplings(canvas, encoded, { couplings, places }) {
  const context = showLarge(canvas, encoded);
  const [[left, top], [right, bottom]] = places.map(([x, y]) => [
    ((x + 1) / 2) * canvas.width,
    ((y + 1) / 2) * canvas.height,
  ]);
  const rows = couplings.length;
  const columns = couplings[0].length;
  const width = columns > 1 ? (right - left) / (columns - 1) : canvas.width;
  const height = rows > 1 ? (bottom - top) / (rows - 1) : canvas.height;
  const [least, most] = [Math.min(...couplings.flat()), Math.max(...couplings.flat())];
  couplings.forEach((row, down) =>
    row.forEach((coupling, across) => {
      const more = most > least ? (coupling - least) / (most - least) : 0;
      context.fillStyle = `rgba(255, 176, 0, ${0.75 * more})`;
      const x = left + across * width - width / 2;
      context.fillRect(x, top + down * height - height / 2, width, height);
    }),
  );
}

/** A board of 28x28 pixels that is drawn on, or that shows an image. */
export class Board {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.image = document.createElement("canvas");
    this.clear();
    let last = null;
    const place = (event) => {
      const frame = canvas.getBoundingClientRect();
      return [
        ((event.clientX - frame.left) / frame.width) * this.image.width,
        ((event.clientY - frame.top) / frame.height) * this.image.height,
      ];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = place(event);
      this.line(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (last !== null) {
        const next = place(event);
        this.line(last, next);
        last = next;
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => (last = null));
    }
  }

  clear() {
    this.image.width = this.image.height = SIDE;
    const context = this.image.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "black";
    context.fillRect(0, 0, SIDE, SIDE);
    this.refresh();
  }

  line([x, y], [toX, toY]) {
    const context = this.image.getContext("2d");
    context.strokeStyle = "white";
    context.lineCap = "round";
    context.lineWidth = this.image.width / 12;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX + 0.01, toY);
    context.stroke();
    this.refresh();
    this.changed();
  }

  put(image) {
    this.image.width = image.width;
    this.image.height = image.height;
    const context = this.image.getContext("2d", { willReadFrequently: true });
    if (image instanceof ImageData) context.putImageData(image, 0, 0);
    else context.drawImage(image, 0, 0, image.width, image.height);
    this.refresh();
  }

  refresh() {
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillStyle = "black";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.image, 0, 0, this.canvas.width, this.canvas.height);
  }

  encoded() {
    const { width, height } = this.image;
    return fromImageData(this.image.getContext("2d").getImageData(0, 0, width, height));
  }
}

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "8 4", "2 4", "10 3 2 3"];
const LINES = ["#0b7fd4", "#e07b00", "#2a9d5c", "#b5459e"];

/** A chart of accuracies in [0, 1] over the values of a slider, a line for each name. */
export function chart(values, accuracies, names, width) {
  const [height, left, bottom, top] = [280, 48, 40, 12 + 18 * names.length];
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height + top}`);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", "Accuracy of each model along the slider; the table has it too");
  const add = (kind, attributes, text = "") => {
    const part = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    part.textContent = text;
    drawing.append(part);
  };
  const [low, high] = [values[0], values[values.length - 1]];
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - 12);
  const y = (share) => top + (1 - share) * (height - bottom);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const line = { x1: left, x2: width - 12, y1: y(share), y2: y(share) };
    add("line", { ...line, stroke: "currentColor", "stroke-opacity": 0.2 });
    add("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`);
  }
  for (const value of [low, (low + high) / 2, high]) {
    const label = String(Math.round(100 * value) / 100);
    add("text", { x: x(value), y: y(0) + 18, "text-anchor": "middle" }, label);
  }
  names.forEach((name, number) => {
    const style = {
      stroke: LINES[number % LINES.length],
      "stroke-width": 2.5,
      "stroke-dasharray": DASHES[Math.floor(number / LINES.length) % DASHES.length],
    };
    const down = 12 + 18 * number;
    add("line", { x1: left, x2: left + 26, y1: down, y2: down, ...style });
    const shown = accuracies[number][0] !== null;
    add("text", { x: left + 32, y: down + 4 }, shown ? name : `${name}: has no such images`);
    if (shown) {
      const points = values.map((value, step) => `${x(value)},${y(accuracies[number][step])}`);
      add("polyline", { points: points.join(" "), fill: "none", ...style });
    }
  });
  return drawing;
}
