"""Pure numbers of quantitative finance: returns, risk, signal quality, trading."""
