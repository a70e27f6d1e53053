// What the service answers, for the type checker; there is no code here.

/**
 * @typedef {{name: string, version: string, sha256: string}} Bundle
 * @typedef {{name: string, version: string, disclaimer: string, key_required: boolean, bundle: Bundle,
 *   formats: string, reasons: Record<string, string>, stored_samples: boolean,
 *   limits: {max_upload_bytes: number, max_files: number, page_max_bytes: number}}} Info
 * @typedef {{name: string, role: string, requests_a_minute: number}} Caller
 * @typedef {{arm: string, bundle: Bundle, task: string, classes: string[], negative_class: string | null,
 *   architecture: string, input_size: number, intended_use: string, created: string,
 *   licences: Record<string, string>, decision: Record<string, any>, evaluation: Record<string, any>}} Model
 * @typedef {{value: number | null, ci_low?: number | null, ci_high?: number | null, reason?: string}} Measured
 * @typedef {{values: Record<string, number[][]>, top: number, left: number, side: number,
 *   rows: number, columns: number}} Maps
 * @typedef {{id: string, source: string, label: string, probabilities: Record<string, number>,
 *   confidence: number, tumor_probability: number | null, tumor_flag: boolean | null,
 *   threshold: number | null, prediction_set: string[] | null, decision: string, reasons: string[],
 *   headline: string, unsure: boolean, summary: string, bundle: Bundle, timing_ms: number, maps: Maps | null}} Prediction
 * @typedef {{source: string, plane: string | null, threshold: number | null, decision: string,
 *   reasons: string[], notes: string[], headline: string, unsure: boolean, summary: string, study: {label: string, tumor_probability: number | null,
 *   slices_flagged: number | null, slices_total: number, key_slices: string[]}, slices: string[]}} Study
 * @typedef {{predictions: Prediction[], studies: Study[],
 *   errors: {source: string, error: string}[]}} Answers
 * @typedef {{source: string, rows: number, columns: number, values: ArrayLike<number>,
 *   spacing: [number, number] | null, orientation: number[] | null, position: number[] | null,
 *   window: [number, number] | null, square: [number, number, number],
 *   input: {values: Uint8Array, size: number} | null}} SlicePixels
 */

export {};
