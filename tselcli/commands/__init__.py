"""One module per command of `tsel`, with one public function each."""
