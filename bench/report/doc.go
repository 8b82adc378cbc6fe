// Package report shows a comparison of brokers: as an HTML page, as pictures, as text.
//
// # Rules
//
//   - A figure that is not known is named with its reason. It is never a zero and has no bar.
//   - Every number goes through number.go, so that it reads the same wherever it stands.
//   - Names, errors and configuration files are text of others: they are escaped in the page, and
//     hold no control characters in a terminal.
//   - The page is one file. It needs no network, and its Content-Security-Policy forbids one.
//   - Bars and tables of the page are there without a script; curves are drawn by assets/report.js.
//
// # Ownership
//
// Everything here only reads the Comparison, and nothing outlives the call it was made for.
package report
