document.title = `isolated: ${window.crossOriginIsolated}`;
