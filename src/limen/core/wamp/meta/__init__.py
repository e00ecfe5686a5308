"""What the router itself answers and tells: `meta` lets in and answers, the others are what it can be asked about;
`merging` makes one answer of those of several processes."""
