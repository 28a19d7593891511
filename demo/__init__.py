"""The browser app: what a visitor sees and does. The models are behind one door, `demo.studio`."""
