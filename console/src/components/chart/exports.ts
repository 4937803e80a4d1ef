import type { ECharts } from 'echarts/core';

import { saveFile } from '../../lib/clipboard';
import { csvParts, type ResultSet } from '../../lib/result';

/** The chart as SVG text, as it is on the screen. */
export function svgOf(chart: ECharts): string {
  const svg = chart.getDom().querySelector('svg');
  if (!svg) return '';
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.style.background = getComputedStyle(document.documentElement).getPropertyValue('--ground');
  return new XMLSerializer().serializeToString(copy);
}

/** The chart as a PNG at twice its size, for slides. */
export async function pngOf(chart: ECharts): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([svgOf(chart)], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = chart.getWidth() * 2;
    canvas.height = chart.getHeight() * 2;
    const context = canvas.getContext('2d');
    if (!context) throw new Error('the browser cannot draw a picture');
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--ground');
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the browser cannot make a PNG'))), 'image/png'));
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** True when the picture is on the clipboard; browsers allow it on safe addresses only. */
export async function copyImage(chart: ECharts): Promise<boolean> {
  if (!window.isSecureContext || typeof ClipboardItem === 'undefined') return false;
  try {
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': pngOf(chart) })]);
    return true;
  } catch {
    return false;
  }
}

export function fileName(title: string, extension: string): string {
  const stem = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  return `${stem || 'result'}.${extension}`;
}

export async function saveChart(chart: ECharts, title: string, format: 'svg' | 'png'): Promise<void> {
  if (format === 'svg') saveFile(fileName(title, 'svg'), [svgOf(chart)], 'image/svg+xml');
  else saveFile(fileName(title, 'png'), [await pngOf(chart)], 'image/png');
}

export function saveCsv(result: ResultSet, title: string): void {
  saveFile(fileName(title, 'csv'), csvParts(result), 'text/csv;charset=utf-8');
}
