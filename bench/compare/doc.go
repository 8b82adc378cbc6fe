// Package compare plays scenarios against brokers side by side: each peer is started afresh for each
// run, rounds are interleaved, and what is reported are medians and ratios.
//
// Interleaving is what makes the figures comparable on a machine that is shared: what disturbs one
// round disturbs all peers of it. A run that fails is a Failure with its reason, and never a figure.
package compare
