//! Curves, maps, galleries and the HTML report
