from vq.cli import main

raise SystemExit(main())
