"""From files of other formats to the market data store."""
